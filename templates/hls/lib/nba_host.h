// SPDX-License-Identifier: Apache-2.0
//
// The host's ends: rows from and to AXI4-Stream. A beat is COLS columns of LANES channels, column 0 lane 0 in the low
// bits; column groups outer, channel words inner.
#ifndef NBA_HOST_H
#define NBA_HOST_H

#include "nba_types.h"

#include <hls_stream.h>

#include "nba_buffer.h"

#if defined(__has_include)
#if __has_include(<ap_axi_sdata.h>)
#include <ap_axi_sdata.h>
#define NBA_AXI_SDATA
#endif
#endif

namespace nba {

#ifdef NBA_AXI_SDATA
template <int BYTES>
struct Axis {
  typedef ap_axiu<8 * BYTES, 0, 0, 0> beat_t;
};
#else
// Stands for ap_axiu in C simulation without the vendor's headers.
template <int BYTES>
struct PlainBeat {
  ap_uint<8 * BYTES> data;
  ap_uint<BYTES> keep;
  ap_uint<BYTES> strb;
  ap_uint<1> last;
};
template <int BYTES>
struct Axis {
  typedef PlainBeat<BYTES> beat_t;
};
#endif

// One input row. `Io::write(rings, rows, q, unit, width, code)` stores PP columns of LANES codes.
template <int PP, int LANES, int CODE, class Io, class Beat>
void input_row(hls::stream<Beat> &stream, int width, int col_groups, int chan_words, const int uses[], const int dst[]) {
#pragma HLS INLINE
  int q = 0, word = 0;
input_beats:
  for (int i = 0; i < col_groups * chan_words; ++i) {
#pragma HLS PIPELINE II=1
    const Beat beat = stream.read();
    ap_uint<CODE> code[PP][LANES];
#pragma HLS ARRAY_PARTITION variable=code dim=0 complete
  input_columns:
    for (int j = 0; j < PP; ++j) {
#pragma HLS UNROLL
      for (int l = 0; l < LANES; ++l) {
#pragma HLS UNROLL
        const int low = CODE * (j * LANES + l);
        code[j][l] = beat.data.range(low + CODE - 1, low);
      }
    }
    Io::write(uses, dst, q, word, width, code);
    if (++word == chan_words) {
      word = 0;
      ++q;
    }
  }
}

// One output row of COLS columns and LANES channels a beat.
template <int BANKS, int COLS, int LANES, int CODE, class Io, class Beat>
void output_row(hls::stream<Beat> &stream, const Ring &ring, int row, int width, int col_groups, int chan_words,
                bool last_row) {
#pragma HLS INLINE
  int q = 0, word = 0;
output_beats:
  for (int i = 0; i < col_groups * chan_words; ++i) {
#pragma HLS PIPELINE II=1
    ap_uint<CODE> banks[BANKS][LANES];
#pragma HLS ARRAY_PARTITION variable=banks dim=0 complete
    const Tap<BANKS> t = tap<BANKS>(ring, row, q * COLS, width, word, true);
    Io::read(ring.edge, t, banks);
    Beat beat;
    beat.data = 0;
  output_columns:
    for (int j = 0; j < COLS; ++j) {
#pragma HLS UNROLL
      const int b = t.rotate + j < BANKS ? t.rotate + j : t.rotate + j - BANKS;
      for (int l = 0; l < LANES; ++l) {
#pragma HLS UNROLL
        const int low = CODE * (j * LANES + l);
        beat.data.range(low + CODE - 1, low) = banks[b][l];
      }
    }
    beat.keep = -1;
    beat.strb = -1;
    beat.last = last_row && i == col_groups * chan_words - 1;
    stream.write(beat);
    if (++word == chan_words) {
      word = 0;
      ++q;
    }
  }
}

}  // namespace nba

#endif
