// SPDX-License-Identifier: Apache-2.0
//
// The engine of a chunk: PM x PN x PP MACs, or PM x PP where an output channel sees its own input channel alone
// (PER_CHANNEL); PQ x PP requantised codes per cycle. A job of degree d, up to DEGREE, works on d * PP columns at once:
// codes of at most 8 / d bits share a multiplier. Buffers have BANKS banks.
// One call computes one output row. Order, as in the RTL: column group, channel group, ky, kx, channel word; a group
// takes slot_cycles iterations, and the accumulators of the group before it drain meanwhile.
//
// `Io` binds the engine to one chunk's memories by static functions:
//   ring(i) -> Ring;  read(edge, tap, word);  read_residual(edge, tap, word);  weights(addr, lanes);
//   params(addr, bias, mult);  write(rings, rows, q, unit, width, code)
// and, where SHIFT_BITS is not 0, shifts(addr, more); where PADS is set, pads(addr, word).
#ifndef NBA_ENGINE_H
#define NBA_ENGINE_H

#include "nba_buffer.h"
#include "nba_requant.h"
#include "nba_types.h"

namespace nba {

// The codes [LANES] that padding inserts in channel word `word`; SOME: jobs of the chunk have codes per channel.
template <class Io, class Code, int LANES, bool SOME>
struct Pads {
  static void read(const Job &job, int, Code pad[LANES]) {
#pragma HLS INLINE
  one_pad:
    for (int l = 0; l < LANES; ++l) {
#pragma HLS UNROLL
      pad[l] = job.pad_code;
    }
  }
};
template <class Io, class Code, int LANES>
struct Pads<Io, Code, LANES, true> {
  static void read(const Job &job, int word, Code pad[LANES]) {
#pragma HLS INLINE
    if (job.pad_base < 0) {
      Pads<Io, Code, LANES, false>::read(job, word, pad);
    } else {
      Io::pads(job.pad_base + word, pad);
    }
  }
};

// How far the shifts [PQ] of a drain step are above that of the job; SOME: those of some jobs differ.
template <class Io, int PQ, bool SOME>
struct Shifts {
  static void read(int, ap_uint<6> more[PQ]) {
#pragma HLS INLINE
  no_more:
    for (int l = 0; l < PQ; ++l) {
#pragma HLS UNROLL
      more[l] = 0;
    }
  }
};
template <class Io, int PQ>
struct Shifts<Io, PQ, true> {
  static void read(int addr, ap_uint<6> more[PQ]) {
#pragma HLS INLINE
    Io::shifts(addr, more);
  }
};

template <int CODE, bool PER_CHANNEL, int PM, int PN, int PP, int BANKS, int DEGREE, int PQ, int W_STORE, int W_BITS, int A_BITS, int ACC_BITS,
          bool NEST_WEIGHT, bool NEST_ACT, bool RESIDUAL, bool MAXIMUM, int SHIFT_BITS = 0, bool PADS = false>
struct Engine {
  static const int LANES = PER_CHANNEL ? PM : PN;          // channels in a word of the input
  static const int WEIGHTS = PER_CHANNEL ? PM : PM * PN;   // weights in a word, [m][n]
  static const int DRAIN = PM / PQ;
  static const int COLUMNS = PP * DEGREE;
  static const int FIELDS = 16;                            // bits of all fields of a packed product
  typedef ap_uint<CODE> code_t;
  typedef ap_int<CODE + 1> value_t;                      // of a signed or unsigned code
  typedef ap_int<W_BITS> weight_t;
  typedef ap_int<A_BITS + 1> act_t;                      // holds signed and unsigned codes of A_BITS bits
  typedef ap_int<ACC_BITS> acc_t;

  // Operands of one step: rotated to output columns, padded, nested.
  template <class Io>
  static void operands(const Job &job, const Ring &src, int row, bool row_inside, int x0, int word,
                       act_t act[COLUMNS][LANES]) {
#pragma HLS INLINE
    code_t banks[BANKS][LANES];
#pragma HLS ARRAY_PARTITION variable=banks dim=0 complete
    const Tap<BANKS> t = tap<BANKS>(src, row, x0, job.width_in, word, row_inside);
    Io::read(src.edge, t, banks);
    code_t pad[LANES];
#pragma HLS ARRAY_PARTITION variable=pad complete
    Pads<Io, code_t, LANES, PADS>::read(job, word, pad);
  operand_columns:
    for (int j = 0; j < COLUMNS; ++j) {
#pragma HLS UNROLL
      const int b = t.rotate + j < BANKS ? t.rotate + j : t.rotate + j - BANKS;
    operand_lanes:
      for (int l = 0; l < LANES; ++l) {
#pragma HLS UNROLL
        const value_t a = value_of<CODE>(t.inside[b] ? banks[b][l] : pad[l], job.in_signed);
        act[j][l] = NEST_ACT ? act_t(nest<CODE + 1>(a, job.act_shift, job.act_hi)) : act_t(a);
      }
    }
  }

  // Column p + i * PP of a step of packed codes is field i of operand p: fields are 16 / degree bits apart. Half of a
  // field more keeps a lower field of the product from borrowing of the one above, and turns its top bit over.
  static ap_int<FIELDS + 1> packed(const act_t act[COLUMNS][LANES], int p, int n, int degree) {
#pragma HLS INLINE
    ap_int<FIELDS + 1> sum = act[p][n];
    for (int i = 1; i < DEGREE; ++i) {
#pragma HLS UNROLL
      if (i < degree) {
        sum += ap_int<FIELDS + 1>(ap_int<FIELDS + 1>(act[p + i * PP][n]) << (degree == 2 ? 8 * i : 4 * i));
      }
    }
    return sum;
  }
  static ap_int<W_BITS + A_BITS + 1> field(ap_int<FIELDS + W_BITS + 2> product, int i, int degree) {
#pragma HLS INLINE
    const ap_uint<FIELDS> halves = degree == 4 ? 0x8888 : degree == 2 ? 0x8080 : 0x8000;
    const ap_uint<FIELDS> fields = ap_uint<FIELDS>(ap_uint<FIELDS>(product) + halves) ^ halves;
    if (degree == 4) {
      return ap_int<4>(ap_uint<4>(fields >> (4 * i)));
    }
    if (degree == 2) {
      return ap_int<8>(ap_uint<8>(fields >> (8 * (i & 1))));
    }
    return ap_int<FIELDS>(fields);
  }

  // One step of the array: acc += weights x operands, or = on the first step of a group; where the job takes the largest
  // product (PN = 1), acc = that product if it is larger.
  static void step(const Job &job, const ap_int<W_STORE> stored[WEIGHTS], const act_t act[COLUMNS][LANES], bool first,
                   acc_t acc[COLUMNS][PM]) {
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
      for (int j = 0; j < COLUMNS; ++j) {
#pragma HLS UNROLL
        acc_t sum = first ? acc_t(0) : acc[j][m];
      step_lanes:
        for (int n = 0; n < PN; ++n) {
#pragma HLS UNROLL
          const ap_int<W_BITS + A_BITS + 1> product =
              DEGREE > 1 ? field(w[n] * packed(act, j % PP, PER_CHANNEL ? m : n, job.degree), j / PP, job.degree)
                         : ap_int<W_BITS + A_BITS + 1>(w[n] * act[j][PER_CHANNEL ? m : n]);
          sum = MAXIMUM && job.take_max && !first ? (acc_t(product) > sum ? acc_t(product) : sum) : acc_t(sum + product);
        }
        acc[j][m] = sum;
      }
    }
  }

  // Drain step k of pass `pass` over group g of all slices: PQ channels of PP columns, to every buffer that gets the output.
  template <class Io>
  static void drain(const Job &job, const Place &place, const acc_t held[COLUMNS][PM], int q, int g, int pass, int k) {
#pragma HLS INLINE
    ap_int<ACC_BITS> bias[PQ];
    ap_uint<16> mult[PQ];
    ap_uint<6> more[PQ];
    code_t res[BANKS][PQ];
    code_t code[PP][PQ];
#pragma HLS ARRAY_PARTITION variable=bias complete
#pragma HLS ARRAY_PARTITION variable=mult complete
#pragma HLS ARRAY_PARTITION variable=more complete
#pragma HLS ARRAY_PARTITION variable=res dim=0 complete
#pragma HLS ARRAY_PARTITION variable=code dim=0 complete
    const int unit = g * DRAIN + k;
    const int part = q * job.degree + pass;   // of the row, PP columns each
    int rotate = 0;
    Io::params(job.param_base + unit, bias, mult);
    Shifts<Io, PQ, SHIFT_BITS != 0>::read(job.param_base + unit, more);
    if (RESIDUAL && job.has_residual) {
      const Ring ring = Io::ring(job.res_ring);
      const int word = unit < ring.col_words ? unit : 0;
      const Tap<BANKS> t = tap<BANKS>(ring, place.res, part * PP, job.width_out, word, true);
      rotate = t.rotate;
      Io::read_residual(ring.edge, t, res);
    }
  drain_columns:
    for (int j = 0; j < PP; ++j) {
#pragma HLS UNROLL
    drain_lanes:
      for (int l = 0; l < PQ; ++l) {
#pragma HLS UNROLL
        const code_t other = res[rotate + j < BANKS ? rotate + j : rotate + j - BANKS][l];
        const value_t r = RESIDUAL && job.has_residual ? value_of<CODE>(other, job.res_signed) : value_t(0);
        code[j][l] = requantise<CODE, ACC_BITS, RESIDUAL, SHIFT_BITS>(held[pass * PP + j][k * PQ + l], bias[l], mult[l], more[l], r, job);
      }
    }
    Io::write(job.uses, place.dst, part, unit, job.width_out, code);
  }

  // Output row `y` of slice `slice` of `job`.
  template <class Io>
  static void row(const Job &job, const Place &place, int y, int slice) {
#pragma HLS INLINE
    acc_t acc[COLUMNS][PM];
    acc_t held[COLUMNS][PM];
#pragma HLS ARRAY_PARTITION variable=acc dim=0 complete
#pragma HLS ARRAY_PARTITION variable=held dim=0 complete
    const Ring src = Io::ring(job.src_ring);
    const int groups = job.col_groups * job.m_groups;
    const int steps = job.chan_words * job.kernel_h * job.kernel_w;
    const int top = y * job.stride_h - job.pad_top;
    int s = 0, c = 0, kx = 0, ky = 0, g = 0, q = 0, group = 0;   // the step that is issued
    const int first_group = slice * job.m_groups;
    const int first_weight = job.weight_base + (job.streamed ? place.slot : job.weight_step ? first_group * steps : 0);
    int line = place.src, weight = first_weight;
    int drain_pass = job.degree, drain_k = 0, drain_g = 0, drain_q = 0;   // the drain step that overlaps it
  row_loop:
    for (int t = 0; t < groups * job.slot_cycles + job.degree * DRAIN; ++t) {
#pragma HLS PIPELINE II=1
#pragma HLS LOOP_TRIPCOUNT min=2 max=4096
      if (drain_pass < job.degree) {
        drain<Io>(job, place, held, drain_q, drain_g, drain_pass, drain_k);
        if (++drain_k == DRAIN) {
          drain_k = 0;
          ++drain_pass;
        }
      }
      if (group < groups) {
        if (s < steps) {
          act_t act[COLUMNS][LANES];
          ap_int<W_STORE> stored[WEIGHTS];
#pragma HLS ARRAY_PARTITION variable=act dim=0 complete
#pragma HLS ARRAY_PARTITION variable=stored complete
          const int iy = top + ky;
          const int x0 = q * job.degree * PP * job.stride_w - job.pad_left + kx;
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
          for (int j = 0; j < COLUMNS; ++j) {
#pragma HLS UNROLL
            for (int m = 0; m < PM; ++m) {
#pragma HLS UNROLL
              held[j][m] = acc[j][m];
            }
          }
          drain_pass = 0;
          drain_k = 0;
          drain_g = first_group + g;
          drain_q = q;
          ++group;
          if (++g == job.m_groups) {
            g = 0;
            ++q;
            weight = first_weight;
          }
        }
      }
    }
  }
};

}  // namespace nba

#endif
