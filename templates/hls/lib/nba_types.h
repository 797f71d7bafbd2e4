// SPDX-License-Identifier: Apache-2.0
//
// Tables of a design (docs/template.md) and the arithmetic of docs/numerics.md that every engine shares.
// Table entries are plain integers, so that constant tables need no start-up code and become ROMs.
#ifndef NBA_TYPES_H
#define NBA_TYPES_H

// Widest ap_uint, of a stream's beat; Vitis HLS allows no more.
#ifndef AP_INT_MAX_W
#define AP_INT_MAX_W 4096
#endif
#include <ap_int.h>

namespace nba {

// A master code is an ap_uint<CODE>, CODE 8 or 16 for all tensors of a design; whether it is signed is its tensor's matter.
typedef ap_uint<16> count_t;   // row counter, runs on modulo 2^16

const int MAX_USES = 15;       // buffers that one unit can write

// Where the rows of one use of a tensor lie in their edge buffer; sizes in words per bank.
struct Ring {
  int edge;
  int rows;
  int base;
  int col_words;
  int row_words;
  int ring_words;
  int stride;           // stride_w of the consumer: column x is of class x mod stride
  int class_words;      // from one class of columns of a row to the next
  int offsets;          // bank of the first column of class r: bits 4 * r and up
  int init_words;       // first read pointer: the row at -pad_top
  int step_words;       // read pointer: from one output row to the next
  int last_step_words;  // read pointer: from the last output row to the next frame's first
  int map_rows;         // rows of the tensor
  int waits_for;        // ring that has the memory before this one, -1: it has memory of its own
  int frames_ago;       // 1: that ring has it for the frame before, 0: for the same frame
  int parts = 1;        // a row holds one of so many parts of the channels, those of a slice
};

// Everything a chunk needs to execute one layer. Written from nba/machine/layout.py by python -m benchmarks.render_layout.
// generated: Job
struct Job {
  int rows_out;          // rows of the output map [rows]
  int width_out;         // width of the output map [columns]
  int degree;            // a column group has so many times PP columns
  int col_groups;        // column groups of a row [groups]
  int m_groups;          // channel groups of a column group, of one slice [groups]
  int slices;            // slices of a frame
  int chan_words;        // channel words that a channel group walks for one tap [words]
  int half_words;        // words of half a column; 0: every channel group reads all words [words]
  int half_first;        // the half that channel group 0 reads
  int turn_lo;           // groups turn_lo <= g < turn_hi read the other half [groups]
  int turn_hi;           // later ones the first again [groups]
  int kernel_h;          // height of the kernel [taps]
  int kernel_w;          // width of the kernel [taps]
  int slot_cycles;       // cycles of a slot, S [cycles]
  int stride_h;          // input rows from one output row to the next [rows]
  int stride_w;          // as much for columns [columns]
  int pad_top;           // rows of padding above the map [rows]
  int pad_left;          // columns of padding left of the map [columns]
  int height_in;         // height of the input map [rows]
  int width_in;          // width of the input map [columns]
  int src_ring;          // input ring, a number of the table of rings
  bool in_signed;        // the codes of the input are signed
  int pad_code;          // code that stands for columns and rows beyond the map
  int act_shift;         // bits of a code that the activation operand drops [bits]
  int act_hi;            // largest code that the multiplier sees
  int weight_base;       // first word of the job's weights [words]
  bool weight_step;      // 1: a weight word for every step; 0: one word, of ones, for the whole job
  int weight_shift;      // bits of a stored weight that the weight operand drops [bits]
  int weight_hi;         // largest weight that the multiplier sees
  bool take_max;         // 1: the accumulator is the largest product of the window; 0: their sum
  int param_base;        // first word of the job's parameters [words]
  bool has_residual;     // the job has a residual operand
  int res_ring;          // ring of the residual operand, a number of the table of rings
  bool res_signed;       // the codes of the residual operand are signed
  int res_mult;          // multiplier of the residual operand
  long long round;       // 2^(shift - 1) - z_res * res_mult, z_res the zero point of the residual
  int shift;             // right shift of the total [bits]
  int z_out;             // zero point of the output
  int q_min;             // smallest code of the output
  int q_max;             // largest code of the output
  int uses[MAX_USES];    // per buffer that the chunk writes: the ring that gets the output, or -1
  int pad_base = -1;     // first word of the job's pad codes; -1: `pad_code` in all channels [words]
  bool streamed = false; // its weights come from external memory; `weight_base` is then where the slots of the store begin
};
// end of generated

// The next rows that a chunk computes: `rows` output rows of slice `slice` of job `job` from row `first` on, in round r
// of frame r - stage.
struct Turn {
  int job;
  int rows;
  int stage;
  int first;
  int slice;
};

// Word addresses, within their buffers, of one started row.
struct Place {
  int src;               // relative to the ring: the (possibly absent) input row at y * stride_h - pad_top
  int res;
  int dst[MAX_USES];     // as Job::uses
  int slot;              // of a job whose weights come from external memory: where its slice begins, in words of the store
};

// What a chunk does in one step of the machine.
struct Start {
  bool go;
  bool skip;             // the turn has no frame in this round
  int job;
  int row;
  int slice;
  Place place;
};

// nest(a): the code rounded to fewer bits, k of them dropped, clamped at `hi` (docs/numerics.md).
template <int BITS>
ap_int<BITS> nest(ap_int<BITS> a, ap_uint<4> k, ap_int<BITS> hi) {
#pragma HLS INLINE
  const ap_int<BITS + 1> half = (ap_int<BITS + 1>(1) << k) >> 1;
  const ap_int<BITS + 2> rounded = ap_int<BITS + 2>(a + half) >> k;
  return rounded > hi ? hi : ap_int<BITS>(rounded);
}

// A stored code as a number.
template <int CODE>
ap_int<CODE + 1> value_of(ap_uint<CODE> code, bool is_signed) {
#pragma HLS INLINE
  ap_int<CODE + 1> v = code;
  v[CODE] = is_signed && code[CODE - 1];
  return v;
}

// Weights of one word: no weight straddles two of its 64-bit parts.
template <int BITS, int N>
void unpack(const unsigned long long parts[(N + 64 / BITS - 1) / (64 / BITS)], ap_int<BITS> out[N]) {
#pragma HLS INLINE
  const int PER_PART = 64 / BITS;
unpack_lanes:
  for (int i = 0; i < N; ++i) {
#pragma HLS UNROLL
    const ap_uint<64> part = parts[i / PER_PART];
    const int low = (i % PER_PART) * BITS;
    out[i] = ap_int<BITS>(ap_uint<BITS>(part >> low));
  }
}

}  // namespace nba

#endif
