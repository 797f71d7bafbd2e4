// SPDX-License-Identifier: Apache-2.0
//
// Row tokens (docs/template.md) in lock step. In one step of the machine every unit (input, chunks, output) first
// decides, from the counters as the last step left them, whether its next row may start; then all rows that may start
// run; then the counters move. A row reads only rows written in earlier steps and writes only rows that nobody holds:
// the rows of one step are independent of each other, so a tool may run them at the same time.
#ifndef NBA_SCHED_H
#define NBA_SCHED_H

#include "nba_buffer.h"
#include "nba_types.h"

namespace nba {

struct RingState {
  count_t written;
  count_t released;
  int write_words;   // pointers relative to the ring, in words
  int read_words;
  int row;           // of the frame that is written, whose number is `frames`
  count_t frames;
};

struct ChunkState {
  int turn;
  int row;               // of the turn
  unsigned round;
  bool done;
};

// Rows that are written and not yet released; negative when rows nobody needed were released before they came.
inline ap_int<16> rows_held(const RingState &state) {
#pragma HLS INLINE
  return ap_int<16>(count_t(state.written - state.released));
}

template <int N_RINGS>
void reset_rings(const Ring (&rings)[N_RINGS], RingState (&state)[N_RINGS]) {
#pragma HLS INLINE
reset_rings_loop:
  for (int i = 0; i < N_RINGS; ++i) {
#pragma HLS UNROLL
    state[i].written = 0;
    state[i].released = 0;
    state[i].write_words = 0;
    state[i].read_words = rings[i].init_words;
    state[i].row = 0;
    state[i].frames = 0;
  }
}

// Rows of the input that must be there before output row y starts, and rows that its end releases.
inline int need_rows(const Job &job, int y) {
#pragma HLS INLINE
  const int top = y * job.stride_h - job.pad_top;
  const int last = top + job.kernel_h < job.height_in ? top + job.kernel_h : job.height_in;
  return last - (top > 0 ? top : 0);
}

inline int release_rows(const Job &job, int y) {
#pragma HLS INLINE
  const int top = y * job.stride_h - job.pad_top;
  const int after = y == job.rows_out - 1 ? job.height_in : top + job.stride_h > 0 ? top + job.stride_h : 0;
  return after - (top > 0 ? top : 0);
}

// Whether a ring has its memory for the next row: a frame that shares it begins when the ring before has given all back.
template <int N_RINGS>
bool has_memory(const Ring (&rings)[N_RINGS], const RingState (&state)[N_RINGS], int ring) {
#pragma HLS INLINE
  const int other = rings[ring].waits_for;
  if (other < 0 || state[ring].row != 0) return true;
  const count_t frames = state[ring].frames + 1 - rings[ring].frames_ago;
  return state[other].frames == frames && state[other].row == 0 && state[other].released == state[other].written;
}

// Whether each of the rings `uses` (-1: none) has a free row, and where; later slices of a frame have theirs already.
template <int USES, int N_RINGS>
bool rooms(const Ring (&rings)[N_RINGS], const RingState (&state)[N_RINGS], const int uses[], bool later, int dst[]) {
#pragma HLS INLINE
  bool room = true;
rooms_loop:
  for (int u = 0; u < USES; ++u) {
#pragma HLS UNROLL
    const int ring = uses[u];
    dst[u] = ring < 0 ? 0 : rings[ring].base + state[ring].write_words;
    const bool has = ring < 0 || (later && rings[ring].parts == 1);
    room = room && (has || (rows_held(state[ring]) < rings[ring].rows && has_memory(rings, state, ring)));
  }
  return room;
}

// The row that a chunk starts in this step, if any.
template <int USES, int N_JOBS, int N_TURNS, int N_RINGS>
Start decide(const Job (&jobs)[N_JOBS], const Turn (&turns)[N_TURNS], const Ring (&rings)[N_RINGS], const RingState (&state)[N_RINGS],
             const ChunkState &chunk, unsigned n_frames) {
#pragma HLS INLINE
  const Turn &turn = turns[chunk.turn];
  const Job &job = jobs[turn.job];
  Start start;
  start.job = turn.job;
  start.row = turn.first + chunk.row;
  start.slice = turn.slice;
  // All slices but the last need, and keep, the whole maps, unless a row has the channels of a slice alone.
  const bool ends = turn.slice == job.slices - 1;
  const bool own = ends || rings[job.src_ring].parts > 1;
  start.skip = !chunk.done && (chunk.round < unsigned(turn.stage) || chunk.round - turn.stage >= n_frames);
  bool go = !chunk.done && !start.skip;
  start.place.src = state[job.src_ring].read_words;
  go = go && rows_held(state[job.src_ring]) >= (own ? need_rows(job, start.row) : job.height_in);
  start.place.res = 0;
  if (job.has_residual) {
    start.place.res = rings[job.res_ring].base + state[job.res_ring].read_words;
    go = go && rows_held(state[job.res_ring]) >= (ends ? 1 : job.rows_out);
  }
  start.go = rooms<USES>(rings, state, job.uses, turn.slice > 0, start.place.dst) && go;
  return start;
}

// A pointer that goes on by `step` words and back by a map of `map` words, at most the ring's, to its next slice.
inline int back(int at, int step, int map, int ring_words) {
#pragma HLS INLINE
  const int there = at + step - map;
  return there < 0 ? there + ring_words : there;
}

// One row more in each of the rings `uses`; with the last slice of a frame it is whole. rewind: rows of the map that the
// next slice begins again with, or 0.
template <int USES, int N_RINGS>
void rows_written(const Ring (&rings)[N_RINGS], RingState (&state)[N_RINGS], const int uses[], bool whole, int rewind) {
#pragma HLS INLINE
rows_written_loop:
  for (int u = 0; u < USES; ++u) {
#pragma HLS UNROLL
    if (uses[u] >= 0) {
      RingState &ring = state[uses[u]];
      const bool part = rings[uses[u]].parts > 1;
      ring.written += whole || part ? 1 : 0;
      ring.row += whole || part ? 1 : 0;
      if (ring.row == rings[uses[u]].map_rows) {
        ring.row = 0;
        ++ring.frames;
      }
      ring.write_words = rewind > 0 && !part ? back(ring.write_words, rings[uses[u]].row_words, rewind * rings[uses[u]].row_words, rings[uses[u]].ring_words)
                                    : wrap(ring.write_words, rings[uses[u]].row_words, rings[uses[u]].ring_words);
    }
  }
}

template <int N_RINGS>
void rows_released(const Ring (&rings)[N_RINGS], RingState (&state)[N_RINGS], int ring, int rows, int words, int rewind) {
#pragma HLS INLINE
  const int at = state[ring].read_words, map = rewind * rings[ring].row_words;
  state[ring].released += rows;
  state[ring].read_words = rewind > 0 ? back(at, words, map, rings[ring].ring_words) : wrap(at, words, rings[ring].ring_words);
}

// After the step: counters, and the chunk's next row, turn or round.
template <int USES, int N_JOBS, int N_TURNS, int N_RINGS>
void commit(const Job (&jobs)[N_JOBS], const Turn (&turns)[N_TURNS], const Ring (&rings)[N_RINGS], RingState (&state)[N_RINGS], ChunkState &chunk,
            const Start &start, unsigned last_round) {
#pragma HLS INLINE
  const Job &job = jobs[start.job];
  const bool last_row = start.row == job.rows_out - 1;
  const bool last_of_turn = chunk.row == turns[chunk.turn].rows - 1;
  const bool ends = start.slice == job.slices - 1;
  if (start.go) {
    const Ring &src = rings[job.src_ring];
    const int words = last_row ? src.last_step_words : src.step_words;
    const bool again = last_row && !ends;
    const bool own = ends || src.parts > 1;
    rows_released(rings, state, job.src_ring, own ? release_rows(job, start.row) : 0, words, again && !own ? job.height_in : 0);
    if (job.has_residual) {
      rows_released(rings, state, job.res_ring, ends ? 1 : 0, rings[job.res_ring].row_words, again ? job.rows_out : 0);
    }
    rows_written<USES>(rings, state, job.uses, ends, again ? job.rows_out : 0);
    ++chunk.row;
  }
  if (start.skip || (start.go && last_of_turn)) {
    chunk.row = 0;
    if (++chunk.turn == N_TURNS) {
      chunk.turn = 0;
      chunk.done = chunk.round == last_round;
      ++chunk.round;
    }
  }
}

}  // namespace nba

#endif
