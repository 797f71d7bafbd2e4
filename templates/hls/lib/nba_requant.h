// SPDX-License-Identifier: Apache-2.0
//
// The requantiser: accumulator -> code, with the residual addition (docs/numerics.md). The only place that rounds
// and saturates outputs.
#ifndef NBA_REQUANT_H
#define NBA_REQUANT_H

#include "nba_types.h"

namespace nba {

// `residual` is the value of the residual's code before its zero point is taken off: job.round holds that constant.
// `more`: how far the channel's shift is above the job's; where it is not 0 there is no residual.
template <int CODE, int ACC_BITS, bool RESIDUAL, int SHIFT_BITS>
ap_uint<CODE> requantise(ap_int<ACC_BITS> acc, ap_int<ACC_BITS> bias, ap_uint<16> mult, ap_uint<6> more,
                         ap_int<CODE + 1> residual, const Job &job) {
#pragma HLS INLINE
  const int PRODUCT_BITS = ACC_BITS + 1 + 17;
  const int TOTAL_BITS = (PRODUCT_BITS > 48 ? PRODUCT_BITS : 48) + 2;
  const ap_int<ACC_BITS + 1> sum = acc + bias;
  const ap_int<PRODUCT_BITS> product = sum * mult;
  const ap_uint<6> shift = SHIFT_BITS != 0 ? ap_uint<6>(job.shift + more) : ap_uint<6>(job.shift);
  const ap_int<48> round = SHIFT_BITS != 0 && more != 0 ? ap_int<48>(ap_int<48>(1) << (shift - 1)) : ap_int<48>(job.round);
  ap_int<TOTAL_BITS> total = product + round;
  if (RESIDUAL) {
    const ap_int<CODE + 18> branch = residual * ap_uint<16>(job.res_mult);
    total += branch;
  }
  const ap_int<TOTAL_BITS> shifted = (total >> shift) + ap_int<CODE + 1>(job.z_out);
  const ap_int<CODE + 1> q_min = job.q_min;
  const ap_int<CODE + 1> q_max = job.q_max;
  const ap_int<CODE + 1> clamped = shifted < q_min ? q_min : shifted > q_max ? q_max : ap_int<CODE + 1>(shifted);
  return ap_uint<CODE>(clamped);
}

}  // namespace nba

#endif
