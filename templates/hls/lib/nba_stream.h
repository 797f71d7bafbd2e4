// SPDX-License-Identifier: Apache-2.0
//
// Weights from external memory (docs/template.md): the slices of a list, round after round, each into a slot of the store of
// the chunk that uses it. In every step of the machine the reader copies a piece of a slice. A slot is read only when all
// of its slice is there, and written only when no row needs what it held, so that reader and rows of a step are independent.
#ifndef NBA_STREAM_H
#define NBA_STREAM_H

#include "nba_types.h"

namespace nba {

// A store: a row of it is `parts` beats of the port; a slot has `slot_rows` rows; a piece is `piece` beats, whole rows.
struct Store {
  int parts;
  int slot_rows;
  int piece;
};

// The weights of a slice: `beats` beats of the image from beat `first` on; in round r they are for frame r - stage.
struct Fetch {
  int store;
  int stage;
  int first;
  int beats;
};

struct StoreState {
  count_t loaded;   // slices
  count_t used;
  int fill;         // slots that the reader and the chunk are at
  int take;
};

struct ReaderState {
  unsigned round;
  int fetch;
  int done;         // beats of it that are read
};

// What the reader does in one step of the machine.
struct Load {
  bool go;
  bool skip;        // the fetch has no frame in this round
  int store;
  int first;        // beat of the image
  int row;          // of the store
  int beats;
};

template <int N_STORES>
void reset_stores(StoreState (&stores)[N_STORES]) {
#pragma HLS INLINE
reset_stores_loop:
  for (int i = 0; i < N_STORES; ++i) {
#pragma HLS UNROLL
    stores[i].loaded = 0;
    stores[i].used = 0;
    stores[i].fill = 0;
    stores[i].take = 0;
  }
}

// The piece that is read in this step, if any: a slice begins when a slot is free. last_round: no fetch is read behind it.
template <int SLOTS, int N_FETCHES, int N_STORES>
Load next_load(const Fetch (&fetches)[N_FETCHES], const Store (&kinds)[N_STORES], const StoreState (&stores)[N_STORES],
               const ReaderState &reader, unsigned n_frames, unsigned last_round) {
#pragma HLS INLINE
  const Fetch &fetch = fetches[reader.fetch];
  const Store &kind = kinds[fetch.store];
  const StoreState &store = stores[fetch.store];
  const bool ended = n_frames == 0 || reader.round > last_round;
  Load load;
  load.skip = !ended && (reader.round < unsigned(fetch.stage) || reader.round - fetch.stage >= n_frames);
  load.go = !ended && !load.skip && count_t(store.loaded - store.used) < SLOTS;
  load.store = fetch.store;
  load.first = fetch.first + reader.done;
  load.row = store.fill * kind.slot_rows + reader.done / kind.parts;
  load.beats = fetch.beats - reader.done < kind.piece ? fetch.beats - reader.done : kind.piece;
  return load;
}

// Copies a piece of the image to rows of a store.
template <int BUS, int PARTS, int DEPTH>
void read_piece(const ap_uint<BUS> *image, const Load &load, ap_uint<BUS> (&store)[DEPTH][PARTS]) {
#pragma HLS INLINE
  int row = load.row, part = 0;
read_beats:
  for (int i = 0; i < load.beats; ++i) {
#pragma HLS PIPELINE II=1
    store[row][part] = image[load.first + i];
    if (++part == PARTS) {
      part = 0;
      ++row;
    }
  }
}

// After the step: the reader's next piece, slice or round.
template <int SLOTS, int N_FETCHES, int N_STORES>
void commit_load(const Fetch (&fetches)[N_FETCHES], StoreState (&stores)[N_STORES], ReaderState &reader, const Load &load) {
#pragma HLS INLINE
  reader.done += load.go ? load.beats : 0;
  const bool whole = load.go && reader.done == fetches[reader.fetch].beats;
  if (whole) {
    StoreState &store = stores[load.store];
    ++store.loaded;
    store.fill = store.fill + 1 == SLOTS ? 0 : store.fill + 1;
  }
  if (whole || load.skip) {
    reader.done = 0;
    if (++reader.fetch == N_FETCHES) {
      reader.fetch = 0;
      ++reader.round;
    }
  }
}

// The slot of a row of a streamed job, `slot_words` words each; without a slice in it the row has to wait.
inline void claim_slot(const Job &job, const StoreState &store, int slot_words, Start &start) {
#pragma HLS INLINE
  if (job.streamed) {
    start.place.slot = store.take * slot_words;
    start.go = start.go && store.loaded != store.used;
  }
}

// After the step: the last row of a slice frees its slot.
template <int SLOTS>
void release_slot(const Job &job, const Start &start, StoreState &store) {
#pragma HLS INLINE
  if (job.streamed && start.go && start.row == job.rows_out - 1) {
    ++store.used;
    store.take = store.take + 1 == SLOTS ? 0 : store.take + 1;
  }
}

// Weights of word `word` of a store, whose rows are PARTS beats or, where that is one, PER words.
template <int BITS, int N, int PER, int BUS, int PARTS, int DEPTH>
void stored_weights(const ap_uint<BUS> (&store)[DEPTH][PARTS], int word, ap_int<BITS> out[N]) {
#pragma HLS INLINE
  const int row = word / PER, first = word % PER * (N * BITS);
stored_lanes:
  for (int i = 0; i < N; ++i) {
#pragma HLS UNROLL
    const int low = first + i * BITS, part = low / BUS;
    ap_uint<2 * BUS> beats = store[row][part];
    if (part + 1 < PARTS) {
      beats |= ap_uint<2 * BUS>(store[row][part + 1]) << BUS;
    }
    out[i] = ap_int<BITS>(ap_uint<BITS>(beats >> (low % BUS)));
  }
}

}  // namespace nba

#endif
