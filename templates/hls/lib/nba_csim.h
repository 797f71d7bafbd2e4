// SPDX-License-Identifier: Apache-2.0
//
// C simulation of one design: frames from a file through the streams, outputs to a file. Not synthesised.
#ifndef NBA_CSIM_H
#define NBA_CSIM_H

#include <cstdio>
#include <cstdlib>
#include <vector>

#include "nba_host.h"

namespace nba {

struct Shape {
  int height;
  int width;
  int channels;
  int cols;    // per beat
  int lanes;   // per beat
  int size;    // bytes of a code, low byte first
};

inline int frame_bytes(const Shape &s) { return s.height * s.width * s.channels * s.size; }

// Read a file of whole frames, or beats. False if it cannot be read or is not a whole number of them.
inline bool read_frames(const char *path, int bytes, std::vector<unsigned char> &data) {
  std::FILE *file = std::fopen(path, "rb");
  if (!file) {
    return false;
  }
  unsigned char buffer[4096];
  for (std::size_t n; (n = std::fread(buffer, 1, sizeof buffer, file)) > 0;) {
    data.insert(data.end(), buffer, buffer + n);
  }
  std::fclose(file);
  return data.size() % bytes == 0;
}

// Read the image of weights, beats of BUS bits, low byte first. False if it has not that many.
template <int BUS>
bool read_image(const char *path, int beats, std::vector<ap_uint<BUS> > &image) {
  std::vector<unsigned char> data;
  if (!read_frames(path, BUS / 8, data) || data.size() != std::size_t(beats) * (BUS / 8)) {
    std::fprintf(stderr, "%s is no image of weights of %d bytes\n", path, beats * (BUS / 8));
    return false;
  }
  image.resize(beats);
  for (int i = 0; i < beats; ++i) {
    for (int b = 0; b < BUS / 8; ++b) {
      image[i].range(8 * b + 7, 8 * b) = data[std::size_t(i) * (BUS / 8) + b];
    }
  }
  return true;
}

// Frames (row, column, channel) -> beats; lanes and columns beyond the map hold the byte `filler`.
template <class Beat>
void send(const Shape &s, const std::vector<unsigned char> &data, unsigned char filler, hls::stream<Beat> &stream) {
  const int frames = int(data.size()) / frame_bytes(s);
  for (int row = 0; row < frames * s.height; ++row) {
    for (int x0 = 0; x0 < s.width; x0 += s.cols) {
      for (int c0 = 0; c0 < s.channels; c0 += s.lanes) {
        Beat beat;
        beat.data = 0;
        for (int j = 0; j < s.cols; ++j) {
          for (int l = 0; l < s.lanes; ++l) {
            const bool in = x0 + j < s.width && c0 + l < s.channels;
            for (int b = 0; b < s.size; ++b) {
              const int low = 8 * ((j * s.lanes + l) * s.size + b);
              const int from = ((row * s.width + x0 + j) * s.channels + c0 + l) * s.size + b;
              beat.data.range(low + 7, low) = in ? data[from] : filler;
            }
          }
        }
        beat.keep = -1;
        beat.strb = -1;
        beat.last = (row + 1) % s.height == 0 && x0 + s.cols >= s.width && c0 + s.lanes >= s.channels;
        stream.write(beat);
      }
    }
  }
}

// Beats -> frames. False if beats are missing or left over, or `last` is not where a frame ends.
template <class Beat>
bool receive(const Shape &s, int frames, hls::stream<Beat> &stream, std::vector<unsigned char> &data) {
  data.assign(std::size_t(frames) * frame_bytes(s), 0);
  bool good = true;
  for (int row = 0; row < frames * s.height; ++row) {
    for (int x0 = 0; x0 < s.width; x0 += s.cols) {
      for (int c0 = 0; c0 < s.channels; c0 += s.lanes) {
        if (stream.empty()) {
          std::fprintf(stderr, "no output for row %d: the row schedule is stuck\n", row);
          return false;
        }
        const Beat beat = stream.read();
        for (int j = 0; j < s.cols && x0 + j < s.width; ++j) {
          for (int l = 0; l < s.lanes && c0 + l < s.channels; ++l) {
            for (int b = 0; b < s.size; ++b) {
              const int low = 8 * ((j * s.lanes + l) * s.size + b);
              const ap_uint<8> byte = beat.data.range(low + 7, low);
              data[((row * s.width + x0 + j) * s.channels + c0 + l) * s.size + b] = (unsigned char)byte.to_uint();
            }
          }
        }
        const bool end = (row + 1) % s.height == 0 && x0 + s.cols >= s.width && c0 + s.lanes >= s.channels;
        good = good && (beat.last == 1) == end;
      }
    }
  }
  if (!good) {
    std::fprintf(stderr, "the end-of-frame mark is not on the last beat of each frame\n");
  }
  if (!stream.empty()) {
    std::fprintf(stderr, "output beats left over\n");
    good = false;
  }
  return good;
}

// csim INPUT OUTPUT [BATCH]: all frames of INPUT, BATCH at a time (all at once without it).
template <class In, class Out>
int simulate(void (*top)(hls::stream<In> &, hls::stream<Out> &, unsigned), const Shape &in, const Shape &out, int argc,
             char **argv) {
  std::vector<unsigned char> data;
  if (argc < 3 || !read_frames(argv[1], frame_bytes(in), data)) {
    std::fprintf(stderr, "usage: csim INPUT OUTPUT [BATCH]; INPUT holds frames of %d bytes\n", frame_bytes(in));
    return 2;
  }
  const int frames = int(data.size()) / frame_bytes(in);
  const int batch = argc > 3 ? std::atoi(argv[3]) : frames;
  std::FILE *file = std::fopen(argv[2], "wb");
  if (!file || batch < 1) {
    std::fprintf(stderr, "cannot write %s, or BATCH is not a positive number\n", argv[2]);
    return 2;
  }
  bool good = true;
  for (int f = 0; f < frames && good; f += batch) {
    const int n = frames - f < batch ? frames - f : batch;
    hls::stream<In> s_axis("s_axis");
    hls::stream<Out> m_axis("m_axis");
    const std::vector<unsigned char> part(data.begin() + std::size_t(f) * frame_bytes(in),
                                          data.begin() + std::size_t(f + n) * frame_bytes(in));
    send(in, part, (unsigned char)(0xA5 + f), s_axis);
    top(s_axis, m_axis, n);
    std::vector<unsigned char> result;
    good = receive(out, n, m_axis, result);
    if (!s_axis.empty()) {
      std::fprintf(stderr, "input beats left over\n");
      good = false;
    }
    good = std::fwrite(result.data(), 1, result.size(), file) == result.size() && good;
  }
  good = std::fclose(file) == 0 && good;
  std::printf("%d frames\n", frames);
  return good ? 0 : 1;
}

}  // namespace nba

#endif
