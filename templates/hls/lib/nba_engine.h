// SPDX-License-Identifier: Apache-2.0
//
// The engine of a chunk: PM x PN x PP MACs, or PM x PP where an output channel sees its own input channel alone
// (PER_CHANNEL); PQ x PP requantised codes per cycle.
// One call computes one output row. Order, as in the RTL: column group, channel group, ky, kx, channel word; a group
// takes slot_cycles iterations, and the accumulators of the group before it drain meanwhile.
//
// `Io` binds the engine to one chunk's memories by static functions:
//   ring(i) -> Ring;  read(edge, tap, word);  read_residual(edge, tap, word);  weights(addr, lanes);
//   params(addr, bias, mult);  write(rings, rows, q, unit, width, code)
#ifndef NBA_ENGINE_H
#define NBA_ENGINE_H

#include "nba_buffer.h"
#include "nba_requant.h"
#include "nba_types.h"

namespace nba {

template <int CODE, bool PER_CHANNEL, int PM, int PN, int PP, int PQ, int W_STORE, int W_BITS, int A_BITS, int ACC_BITS,
          bool NEST_WEIGHT, bool NEST_ACT, bool RESIDUAL, bool MAXIMUM>
struct Engine {
  static const int LANES = PER_CHANNEL ? PM : PN;          // channels in a word of the input
  static const int WEIGHTS = PER_CHANNEL ? PM : PM * PN;   // weights in a word, [m][n]
  static const int DRAIN = PM / PQ;
  typedef ap_uint<CODE> code_t;
  typedef ap_int<CODE + 1> value_t;                      // of a signed or unsigned code
  typedef ap_int<W_BITS> weight_t;
  typedef ap_int<A_BITS + 1> act_t;                      // holds signed and unsigned codes of A_BITS bits
  typedef ap_int<ACC_BITS> acc_t;

  // Operands of one step: rotated to output columns, padded, nested.
  template <class Io>
  static void operands(const Job &job, const Ring &src, int row, bool row_inside, int x0, int word, act_t act[PP][LANES]) {
#pragma HLS INLINE
    code_t banks[PP][LANES];
#pragma HLS ARRAY_PARTITION variable=banks dim=0 complete
    const Tap<PP> t = tap<PP>(src, row, x0, job.width_in, word, row_inside);
    Io::read(src.edge, t, banks);
    const code_t pad = job.pad_code;
  operand_columns:
    for (int j = 0; j < PP; ++j) {
#pragma HLS UNROLL
      const int b = (t.rotate + j) & (PP - 1);
    operand_lanes:
      for (int l = 0; l < LANES; ++l) {
#pragma HLS UNROLL
        const value_t a = value_of<CODE>(t.inside[b] ? banks[b][l] : pad, job.in_signed);
        act[j][l] = NEST_ACT ? act_t(nest<CODE + 1>(a, job.act_shift, job.act_hi)) : act_t(a);
      }
    }
  }

  // One step of the array: acc += weights x operands, or = on the first step of a group; where the job takes the largest
  // product (PN = 1), acc = that product if it is larger.
  static void step(const Job &job, const ap_int<W_STORE> stored[WEIGHTS], const act_t act[PP][LANES], bool first,
                   acc_t acc[PP][PM]) {
#pragma HLS INLINE
  step_channels:
    for (int m = 0; m < PM; ++m) {
#pragma HLS UNROLL
      weight_t w[PN];
#pragma HLS ARRAY_PARTITION variable=w complete
    step_weights:
      for (int n = 0; n < PN; ++n) {
#pragma HLS UNROLL
        const ap_int<W_STORE> s = stored[m * PN + n];
        w[n] = NEST_WEIGHT ? weight_t(nest<W_STORE>(s, job.weight_shift, job.weight_hi)) : weight_t(s);
      }
    step_columns:
      for (int j = 0; j < PP; ++j) {
#pragma HLS UNROLL
        acc_t sum = first ? acc_t(0) : acc[j][m];
      step_lanes:
        for (int n = 0; n < PN; ++n) {
#pragma HLS UNROLL
          const ap_int<W_BITS + A_BITS + 1> product = w[n] * act[j][PER_CHANNEL ? m : n];
          sum = MAXIMUM && job.take_max && !first ? (acc_t(product) > sum ? acc_t(product) : sum) : acc_t(sum + product);
        }
        acc[j][m] = sum;
      }
    }
  }

  // Drain step k of a group: PQ channels of PP columns, to every buffer that gets the output.
  template <class Io>
  static void drain(const Job &job, const Place &place, const acc_t held[PP][PM], int q, int g, int k) {
#pragma HLS INLINE
    ap_int<ACC_BITS> bias[PQ];
    ap_uint<16> mult[PQ];
    code_t res[PP][PQ];
    code_t code[PP][PQ];
#pragma HLS ARRAY_PARTITION variable=bias complete
#pragma HLS ARRAY_PARTITION variable=mult complete
#pragma HLS ARRAY_PARTITION variable=res dim=0 complete
#pragma HLS ARRAY_PARTITION variable=code dim=0 complete
    const int unit = g * DRAIN + k;
    Io::params(job.param_base + unit, bias, mult);
    if (RESIDUAL && job.has_residual) {
      const Ring ring = Io::ring(job.res_ring);
      const int word = unit < ring.col_words ? unit : 0;
      Io::read_residual(ring.edge, tap<PP>(ring, place.res, q * PP, job.width_out, word, true), res);
    }
  drain_columns:
    for (int j = 0; j < PP; ++j) {
#pragma HLS UNROLL
    drain_lanes:
      for (int l = 0; l < PQ; ++l) {
#pragma HLS UNROLL
        const value_t r = RESIDUAL && job.has_residual ? value_of<CODE>(res[j][l], job.res_signed) : value_t(0);
        code[j][l] = requantise<CODE, ACC_BITS, RESIDUAL>(held[j][k * PQ + l], bias[l], mult[l], r, job);
      }
    }
    Io::write(job.uses, place.dst, q, unit, job.width_out, code);
  }

  // Output row `y` of `job`.
  template <class Io>
  static void row(const Job &job, const Place &place, int y) {
#pragma HLS INLINE
    acc_t acc[PP][PM];
    acc_t held[PP][PM];
#pragma HLS ARRAY_PARTITION variable=acc dim=0 complete
#pragma HLS ARRAY_PARTITION variable=held dim=0 complete
    const Ring src = Io::ring(job.src_ring);
    const int groups = job.col_groups * job.m_groups;
    const int steps = job.chan_words * job.kernel_h * job.kernel_w;
    const int top = y * job.stride_h - job.pad_top;
    int s = 0, c = 0, kx = 0, ky = 0, g = 0, q = 0, group = 0;   // the step that is issued
    int line = place.src, weight = job.weight_base;
    int drain_k = DRAIN, drain_g = 0, drain_q = 0;               // the drain step that overlaps it
  row_loop:
    for (int t = 0; t < groups * job.slot_cycles + DRAIN; ++t) {
#pragma HLS PIPELINE II=1
#pragma HLS LOOP_TRIPCOUNT min=2 max=4096
      if (drain_k < DRAIN) {
        drain<Io>(job, place, held, drain_q, drain_g, drain_k);
        ++drain_k;
      }
      if (group < groups) {
        if (s < steps) {
          act_t act[PP][LANES];
          ap_int<W_STORE> stored[WEIGHTS];
#pragma HLS ARRAY_PARTITION variable=act dim=0 complete
#pragma HLS ARRAY_PARTITION variable=stored complete
          const int iy = top + ky;
          const int x0 = q * PP * job.stride_w - job.pad_left + kx;
          const bool turned = g >= job.turn_lo && g < job.turn_hi;
          const int half = (job.half_first != 0) != turned ? job.half_words : 0;
          operands<Io>(job, src, src.base + line, iy >= 0 && iy < job.height_in, x0, PER_CHANNEL ? g : half + c, act);
          Io::weights(weight, stored);
          step(job, stored, act, s == 0, acc);
          if (job.weight_step) {
            ++weight;
          }
          if (++c == job.chan_words) {
            c = 0;
            if (++kx == job.kernel_w) {
              kx = 0;
              if (++ky == job.kernel_h) {
                ky = 0;
                line = place.src;
              } else {
                line = wrap(line, src.row_words, src.ring_words);
              }
            }
          }
        }
        if (++s == job.slot_cycles) {
          s = 0;
        hand_over:
          for (int j = 0; j < PP; ++j) {
#pragma HLS UNROLL
            for (int m = 0; m < PM; ++m) {
#pragma HLS UNROLL
              held[j][m] = acc[j][m];
            }
          }
          drain_k = 0;
          drain_g = g;
          drain_q = q;
          ++group;
          if (++g == job.m_groups) {
            g = 0;
            ++q;
            weight = job.weight_base;
          }
        }
      }
    }
  }
};

}  // namespace nba

#endif
