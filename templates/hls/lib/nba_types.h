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
  bool split;           // rows split by column parity: the consumer has stride 2
  int parity_words;
  int init_words;       // first read pointer: the row at -pad_top
  int step_words;       // read pointer: from one output row to the next
  int last_step_words;  // read pointer: from the last output row to the next frame's first
};

// Everything a chunk needs to execute one layer.
struct Job {
  int stage;
  int rows_out;
  int width_out;
  int col_groups;
  int m_groups;
  int chan_words;
  int half_words;        // 0: every channel group reads all words; else half h begins at word h * half_words,
  int half_first;        // channel group 0 reads this half,
  int turn_lo;           // groups turn_lo <= g < turn_hi the other one, later ones the first again
  int turn_hi;
  int kernel_h;
  int kernel_w;
  int slot_cycles;
  int stride;
  int pad_top;
  int pad_left;
  int height_in;
  int width_in;
  int src_ring;
  bool in_signed;
  int pad_code;
  int act_shift;         // code bits - act_bits
  int act_hi;            // largest code the multiplier sees
  int weight_base;
  bool weight_step;      // false: one word of ones for the whole layer (average pooling)
  int weight_shift;      // weight_store_bits - weight_bits
  int weight_hi;
  int param_base;
  bool has_residual;
  int res_ring;
  bool res_signed;
  int res_mult;
  long long round;       // 2^(shift-1) - z_res * res_mult, 48 bits signed
  int shift;
  int z_out;
  int q_min;
  int q_max;
  int uses[MAX_USES];    // per buffer that the chunk writes: the ring that gets the output, or -1
};

// Word addresses, within their buffers, of one started row.
struct Place {
  int src;               // relative to the ring: the (possibly absent) input row at y * stride - pad_top
  int res;
  int dst[MAX_USES];     // as Job::uses
};

// What a chunk does in one step of the machine.
struct Start {
  bool go;
  bool skip;             // the job has no frame in this round
  int job;
  int row;
  Place place;
};

template <int N>
struct Log2 {
  static const int value = 1 + Log2<N / 2>::value;
};
template <>
struct Log2<1> {
  static const int value = 0;
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
