// SPDX-License-Identifier: Apache-2.0
//
// Edge buffers: PP column banks of words of LANES codes, written WRITE codes at a time (docs/template.md, layout).
// A buffer is `ap_uint<CODE> mem[PP][LANES / WRITE][WRITE][DEPTH]`: dimensions 1 and 2 are separate memories, dimension 3 is
// the width of a memory, so that a write never has to read the rest of a word.
#ifndef NBA_BUFFER_H
#define NBA_BUFFER_H

#include "nba_types.h"

namespace nba {

// Pointer + step in a ring of `size` words; both are below `size`.
inline int wrap(int pointer, int step, int size) {
#pragma HLS INLINE
  const int next = pointer + step;
  return next >= size ? next - size : next;
}

// Bank addresses of the PP columns of one tap: column x0, x0 + stride, ... of the row at word `row`.
template <int PP>
struct Tap {
  int addr[PP];      // per bank
  bool inside[PP];   // per bank: the column is in the map
  int rotate;        // bank of the first column
};

template <int PP>
Tap<PP> tap(const Ring &ring, int row, int x0, int width, int word, bool row_inside) {
#pragma HLS INLINE
  const int LOG = Log2<PP>::value;
  Tap<PP> t;
#pragma HLS ARRAY_PARTITION variable=t.addr complete
#pragma HLS ARRAY_PARTITION variable=t.inside complete
  const int parity = ring.split ? x0 & 1 : 0;
  const int p0 = ring.split ? x0 >> 1 : x0;
  t.rotate = (p0 + parity * (PP / 2)) & (PP - 1);
tap_banks:
  for (int b = 0; b < PP; ++b) {
#pragma HLS UNROLL
    const int p = p0 + ((b - t.rotate) & (PP - 1));
    const int x = ring.split ? 2 * p + parity : p;
    t.inside[b] = row_inside && x >= 0 && x < width;
    t.addr[b] = t.inside[b] ? row + (p >> LOG) * ring.col_words + parity * ring.parity_words + word : 0;
  }
  return t;
}

// Which of the PP columns of output column group q a bank gets, and where: the inverse of `tap` for writing.
template <int PP>
struct Spot {
  int column[PP];
  int addr[PP];      // of word 0 of the column
};

template <int PP>
Spot<PP> spot(const Ring &ring, int row, int q) {
#pragma HLS INLINE
  const int LOG = Log2<PP>::value;
  const int HALF = PP / 2;
  Spot<PP> s;
#pragma HLS ARRAY_PARTITION variable=s.column complete
#pragma HLS ARRAY_PARTITION variable=s.addr complete
spot_banks:
  for (int b = 0; b < PP; ++b) {
#pragma HLS UNROLL
    int column = b;
    if (ring.split && PP > 1) {
      const int i = (b - q * HALF) & (PP - 1);
      column = i < HALF ? 2 * i : 2 * (i - HALF) + 1;
    }
    const int x = q * PP + column;
    const int parity = ring.split ? x & 1 : 0;
    const int p = ring.split ? x >> 1 : x;
    s.column[b] = column;
    s.addr[b] = row + (p >> LOG) * ring.col_words + parity * ring.parity_words;
  }
  return s;
}

// One word of every bank.
template <int PP, int LANES, int WRITE, int DEPTH, int CODE>
void read_words(const ap_uint<CODE> (&mem)[PP][LANES / WRITE][WRITE][DEPTH], const Tap<PP> &t,
                ap_uint<CODE> word[PP][LANES]) {
#pragma HLS INLINE
read_banks:
  for (int b = 0; b < PP; ++b) {
#pragma HLS UNROLL
  read_lanes:
    for (int l = 0; l < LANES; ++l) {
#pragma HLS UNROLL
      word[b][l] = mem[b][l / WRITE][l % WRITE][t.addr[b]];
    }
  }
}

// WRITE codes of each of the PP columns of column group q: channels unit * WRITE and up. What lies beyond the map's
// columns or beyond the words of a column is dropped.
template <int PP, int LANES, int WRITE, int DEPTH, int CODE>
void write_words(ap_uint<CODE> (&mem)[PP][LANES / WRITE][WRITE][DEPTH], const Ring &ring, int row, int q, int unit,
                 int width, const ap_uint<CODE> code[PP][WRITE]) {
#pragma HLS INLINE
  const int SUB = LANES / WRITE;
  const int word = unit / SUB;
  const int sub = unit % SUB;
  const Spot<PP> s = spot<PP>(ring, row, q);
write_banks:
  for (int b = 0; b < PP; ++b) {
#pragma HLS UNROLL
    if (word < ring.col_words && q * PP + s.column[b] < width) {
    write_subs:
      for (int i = 0; i < SUB; ++i) {
#pragma HLS UNROLL
        if (i == sub) {
        write_lanes:
          for (int l = 0; l < WRITE; ++l) {
#pragma HLS UNROLL
            mem[b][i][l][s.addr[b] + word] = code[s.column[b]][l];
          }
        }
      }
    }
  }
}

}  // namespace nba

#endif
