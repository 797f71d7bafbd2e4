// SPDX-License-Identifier: Apache-2.0
// all_pairs: every case of the nba_pair of 8 bits that takes DEGREE columns at most, one per cycle: of one column all
// operands -255..255 with all two weights -128..127, of two all operands -15..15 with all two weights -8..7, of four all
// operands -3..3 with all two weights -2..1. Prints the number of cases and of those with a wrong product.
#include <cstdint>
#include <cstdio>

#include "Vnba_pair.h"

struct Case {
  int degree, w0, w1, a[4];
};

// The cases of 2^degree columns.
static long count(int degree) {
  const int half = 128 >> (degree == 0 ? 0 : degree == 1 ? 4 : 6);
  const int range = 2 * ((1 << (8 >> degree)) - 1) + 1;
  long n = 4L * half * half;
  for (int i = 0; i < 1 << degree; ++i) n *= range;
  return n;
}

static Case nth(int degree, long j) {
  const int half = 128 >> (degree == 0 ? 0 : degree == 1 ? 4 : 6);
  const int most = (1 << (8 >> degree)) - 1;
  Case c = {degree, 0, 0, {0, 0, 0, 0}};
  c.w0 = int(j % (2 * half)) - half;
  j /= 2 * half;
  c.w1 = int(j % (2 * half)) - half;
  j /= 2 * half;
  for (int i = 0; i < 1 << degree; ++i, j /= 2 * most + 1) c.a[i] = int(j % (2 * most + 1)) - most;
  return c;
}

static int operand(const Case &c) {
  int sum = 0;
  for (int i = 0; i < 1 << c.degree; ++i) sum += c.a[i] * (1 << (16 >> c.degree) * i);
  return sum;
}

// Column i of the products of one weight: 16 bits, 8 above them, then 4 and 4.
static int column(uint32_t fields, int i) {
  switch (i) {
    case 0: return int16_t(fields);
    case 1: return int8_t(fields >> 16);
    default: return int(fields >> (24 + 4 * (i - 2)) & 15) - int(fields >> (24 + 4 * (i - 2)) << 1 & 16);
  }
}

static bool wrong(const Case &c, uint32_t p0, uint32_t p1) {
  for (int i = 0; i < 1 << c.degree; ++i) {
    if (column(p0, i) != c.w0 * c.a[i] || column(p1, i) != c.w1 * c.a[i]) return true;
  }
  return false;
}

int main() {
  const int latency = 3;
  const int degrees = DEGREE == 4 ? 3 : DEGREE;
  const int width = DEGREE == 1 ? 9 : DEGREE == 2 ? 13 : 15;
  Vnba_pair dut;
  Case past[latency + 1] = {};
  long n = 0, bad = 0, seen = 0;
  for (int degree = 0; degree < degrees; ++degree) {
    const long cases = count(degree);
    n += cases;
    // The last degree's last cases leave the pipeline behind it.
    for (long j = 0; j < cases + (degree == degrees - 1 ? latency : 0); ++j, ++seen) {
      for (int k = latency; k > 0; --k) past[k] = past[k - 1];
      past[0] = nth(degree, j < cases ? j : cases - 1);
      dut.s_w0 = past[0].w0 & 255;
      dut.s_w1 = past[0].w1 & 255;
      dut.s_a = operand(past[1]) & ((1 << width) - 1);  // one cycle after its weights
      dut.s_degree_q1 = past[2].degree;
      dut.s_degree_q2 = past[3].degree;
      dut.clk = 0;
      dut.eval();
      if (seen >= latency) bad += wrong(past[latency], dut.m_p0, dut.m_p1);
      dut.clk = 1;
      dut.eval();
    }
  }
  std::printf("%ld cases, %ld wrong\n", n, bad);
  return 0;
}
