// SPDX-License-Identifier: Apache-2.0
//
// hls::stream for C simulation with g++: an unbounded first-in first-out queue with the part of the vendor's interface
// that our sources use. Vitis HLS has a header of this name of its own, and never sees this one.
// Reading an empty stream ends the program with a message: hardware would wait for ever.
#ifndef NBA_CSIM_HLS_STREAM_H
#define NBA_CSIM_HLS_STREAM_H

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <string>

namespace hls {

template <typename T>
class stream {
 public:
  explicit stream(const std::string &name = "stream") : name_(name) {}
  stream(const stream &) = delete;
  stream &operator=(const stream &) = delete;

  bool empty() const { return items_.empty(); }
  bool full() const { return false; }
  std::size_t size() const { return items_.size(); }

  void write(const T &item) { items_.push_back(item); }
  void operator<<(const T &item) { write(item); }

  T read() {
    if (items_.empty()) {
      std::fprintf(stderr, "hls::stream %s: read while empty\n", name_.c_str());
      std::exit(3);
    }
    T item = items_.front();
    items_.pop_front();
    return item;
  }
  void read(T &item) { item = read(); }
  void operator>>(T &item) { read(item); }

  bool read_nb(T &item) {
    if (items_.empty()) return false;
    read(item);
    return true;
  }
  bool write_nb(const T &item) {
    write(item);
    return true;
  }

 private:
  std::string name_;
  std::deque<T> items_;
};

}  // namespace hls

#endif
