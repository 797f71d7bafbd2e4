// SPDX-License-Identifier: Apache-2.0
// all_pairs: every operand -255..255 with every two weights -128..127 through nba_pair at 8 bits, one case per cycle.
// Prints the number of cases and of those with a wrong product.
#include <cstdint>
#include <cstdio>

#include "Vnba_pair.h"

struct Case {
  int w0, w1, a;
};

int main() {
  const long n = 511L * 256 * 256;
  const int latency = 3;
  Vnba_pair dut;
  Case past[latency + 1] = {};
  long wrong = 0;
  for (long i = 0; i < n + latency; ++i) {
    const long j = i < n ? i : n - 1;
    const Case now = {int(j & 255) - 128, int(j >> 8 & 255) - 128, int(j >> 16) - 255};
    for (int k = latency; k > 0; --k) past[k] = past[k - 1];
    past[0] = now;
    dut.s_w0 = now.w0 & 255;
    dut.s_w1 = now.w1 & 255;
    dut.s_a = past[1].a & 511;  // one cycle after its weights
    dut.clk = 0;
    dut.eval();
    if (i >= latency) {
      const Case &due = past[latency];
      wrong += int16_t(dut.m_p0) != due.w0 * due.a || int16_t(dut.m_p1) != due.w1 * due.a;
    }
    dut.clk = 1;
    dut.eval();
  }
  std::printf("%ld cases, %ld wrong\n", n, wrong);
  return 0;
}
