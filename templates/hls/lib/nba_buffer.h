// SPDX-License-Identifier: Apache-2.0
//
// Edge buffers: BANKS column banks of words of LANES codes, written WRITE codes at a time (docs/template.md, layout).
// A buffer is `ap_uint<CODE> mem[BANKS][LANES / WRITE][WRITE][DEPTH]`: dimensions 1 and 2 are separate memories, dimension 3 is
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

// Bank addresses of the BANKS columns of one tap: column x0, x0 + stride, ... of the row at word `row`.
template <int BANKS>
struct Tap {
  int addr[BANKS];      // per bank
  bool inside[BANKS];   // per bank: the column is in the map
  int rotate;           // bank of the first column
};

// a / s, rounded down, for s = 1..4.
inline int floor_div(int a, int s) {
#pragma HLS INLINE
  return s == 1 ? a : s == 2 ? a >> 1 : s == 4 ? a >> 2 : (a >= 0 ? a / 3 : -((2 - a) / 3));
}

// a modulo BANKS, 0..BANKS - 1.
template <int BANKS>
inline int in_banks(int a) {
#pragma HLS INLINE
  const int rest = a % BANKS;
  return rest < 0 ? rest + BANKS : rest;
}

// Bank of the first column of class r of a row of `ring`.
inline int offset(const Ring &ring, int r) {
#pragma HLS INLINE
  return (ring.offsets >> (4 * r)) & 15;
}

template <int BANKS>
Tap<BANKS> tap(const Ring &ring, int row, int x0, int width, int word, bool row_inside) {
#pragma HLS INLINE
  Tap<BANKS> t;
#pragma HLS ARRAY_PARTITION variable=t.addr complete
#pragma HLS ARRAY_PARTITION variable=t.inside complete
  const int p0 = floor_div(x0, ring.stride);
  const int r = x0 - p0 * ring.stride;
  t.rotate = in_banks<BANKS>(p0 + offset(ring, r));
tap_banks:
  for (int b = 0; b < BANKS; ++b) {
#pragma HLS UNROLL
    const int p = p0 + (b >= t.rotate ? b - t.rotate : b - t.rotate + BANKS);
    const int x = ring.stride * p + r;
    t.inside[b] = row_inside && x >= 0 && x < width;
    t.addr[b] = t.inside[b] ? row + p / BANKS * ring.col_words + r * ring.class_words + word : 0;
  }
  return t;
}

// Which of the PP columns x0 = q * PP, x0 + 1, ... a bank gets, if any, and where: the inverse of `tap` for writing.
template <int PP, int BANKS>
struct Spot {
  bool here[BANKS];
  int column[BANKS];
  int addr[BANKS];      // of word 0 of the column
};

template <int PP, int BANKS>
Spot<PP, BANKS> spot(const Ring &ring, int row, int q) {
#pragma HLS INLINE
  const int x0 = q * PP;
  Spot<PP, BANKS> s;
#pragma HLS ARRAY_PARTITION variable=s.here complete
#pragma HLS ARRAY_PARTITION variable=s.column complete
#pragma HLS ARRAY_PARTITION variable=s.addr complete
spot_banks:
  for (int b = 0; b < BANKS; ++b) {
#pragma HLS UNROLL
    s.here[b] = false;
    s.column[b] = 0;
    s.addr[b] = row;
  spot_columns:
    for (int column = 0; column < PP; ++column) {
#pragma HLS UNROLL
      const int p = floor_div(x0 + column, ring.stride);
      const int r = x0 + column - p * ring.stride;
      if (in_banks<BANKS>(p + offset(ring, r)) == b) {
        s.here[b] = true;
        s.column[b] = column;
        s.addr[b] = row + p / BANKS * ring.col_words + r * ring.class_words;
      }
    }
  }
  return s;
}

// One word of every bank.
template <int BANKS, int LANES, int WRITE, int DEPTH, int CODE>
void read_words(const ap_uint<CODE> (&mem)[BANKS][LANES / WRITE][WRITE][DEPTH], const Tap<BANKS> &t,
                ap_uint<CODE> word[BANKS][LANES]) {
#pragma HLS INLINE
read_banks:
  for (int b = 0; b < BANKS; ++b) {
#pragma HLS UNROLL
  read_lanes:
    for (int l = 0; l < LANES; ++l) {
#pragma HLS UNROLL
      word[b][l] = mem[b][l / WRITE][l % WRITE][t.addr[b]];
    }
  }
}

// WRITE codes of each of the PP columns from q * PP on: channels unit * WRITE and up. What lies beyond the map's
// columns or beyond the words of a column is dropped.
template <int PP, int BANKS, int LANES, int WRITE, int DEPTH, int CODE>
void write_words(ap_uint<CODE> (&mem)[BANKS][LANES / WRITE][WRITE][DEPTH], const Ring &ring, int row, int q, int unit,
                 int width, const ap_uint<CODE> code[PP][WRITE]) {
#pragma HLS INLINE
  const int SUB = LANES / WRITE;
  const int word = ring.parts > 1 ? unit / SUB % ring.col_words : unit / SUB;
  const int sub = unit % SUB;
  const Spot<PP, BANKS> s = spot<PP, BANKS>(ring, row, q);
write_banks:
  for (int b = 0; b < BANKS; ++b) {
#pragma HLS UNROLL
    if (s.here[b] && word < ring.col_words && q * PP + s.column[b] < width) {
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
