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

template <int BANKS>
Tap<BANKS> tap(const Ring &ring, int row, int x0, int width, int word, bool row_inside) {
#pragma HLS INLINE
  const int LOG = Log2<BANKS>::value;
  Tap<BANKS> t;
#pragma HLS ARRAY_PARTITION variable=t.addr complete
#pragma HLS ARRAY_PARTITION variable=t.inside complete
  const int parity = ring.split ? x0 & 1 : 0;
  const int p0 = ring.split ? x0 >> 1 : x0;
  t.rotate = (p0 + parity * (BANKS / 2)) & (BANKS - 1);
tap_banks:
  for (int b = 0; b < BANKS; ++b) {
#pragma HLS UNROLL
    const int p = p0 + ((b - t.rotate) & (BANKS - 1));
    const int x = ring.split ? 2 * p + parity : p;
    t.inside[b] = row_inside && x >= 0 && x < width;
    t.addr[b] = t.inside[b] ? row + (p >> LOG) * ring.col_words + parity * ring.parity_words + word : 0;
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
  const int LOG = Log2<BANKS>::value;
  const int HALF = PP > 1 ? PP / 2 : 1;
  const int x0 = q * PP;
  Spot<PP, BANKS> s;
#pragma HLS ARRAY_PARTITION variable=s.here complete
#pragma HLS ARRAY_PARTITION variable=s.column complete
#pragma HLS ARRAY_PARTITION variable=s.addr complete
spot_banks:
  for (int b = 0; b < BANKS; ++b) {
#pragma HLS UNROLL
    int column = (b - x0) & (BANKS - 1);
    bool here = column < PP;
    if (ring.split) {
      // Banks of even columns count from that of x0 / 2, those of odd ones from half of all banks further.
      const int even = (b - (x0 >> 1)) & (BANKS - 1);
      const int odd = (b - (x0 >> 1) - BANKS / 2) & (BANKS - 1);
      if (PP > 1) {
        here = even < HALF || odd < HALF;
        column = even < HALF ? 2 * even : 2 * odd + 1;
      } else {
        here = ((x0 & 1) ? odd : even) == 0;
        column = 0;
      }
    }
    const int x = x0 + column;
    const int parity = ring.split ? x & 1 : 0;
    const int p = ring.split ? x >> 1 : x;
    s.here[b] = here;
    s.column[b] = here ? column : 0;
    s.addr[b] = row + (p >> LOG) * ring.col_words + parity * ring.parity_words;
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
  const int word = unit / SUB;
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
