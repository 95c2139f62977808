/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From writer_emit() to the disk: what a writer emits is cut into slots of a ring, packed by the
 * codec if there is one, written, and only then digested in segments and noted down; the digests of
 * the whole image go on beside that.
 */
#ifndef CAPTURE_IMAGE_OUTPUT_H
#define CAPTURE_IMAGE_OUTPUT_H

#include "capture/codec.h"
#include "base/digest.h"
#include "capture/ring.h"
#include "capture/run.h"
#include "capture/segments.h"
#include "capture/writer.h"
#include "transfer/destination.h"

#define OUTPUT_SLOTS 16

enum output_consumer { OUTPUT_WRITES, OUTPUT_SEGMENTS, OUTPUT_LANES }; /* lanes: and after */

enum slot_kind {
	SLOT_BYTES, /* written as they are */
	SLOT_FRAME, /* packed first */
	SLOT_HOLE,  /* zeros that take no room on the disk */
};

struct output_slot {
	uint8_t *raw, *packed; /* FRAME_WRITE_SIZE bytes; what the codec may make of a frame */
	enum slot_kind kind;
	size_t frame;         /* index of the frame that it becomes */
	const uint8_t *data;  /* what is packed, and then what is written; NULL: a hole */
	uint64_t size;        /* of it */
	enum image_part part; /* where it goes on */
	bool is_split;        /* the digest of the image waits for both parts */
	double begin, end;    /* when the memory in it was read; begin < 0: none is in it */
};

/* A digest of the whole image. */
struct output_lane {
	struct image_output *output;
	enum kioku_digest kind;
	unsigned consumer;
	struct digest digest;
	bool is_known;
	uint8_t hash[DIGEST_SIZE];
};

struct image_output {
	struct run *run;
	struct destination_file *file; /* owned; NULL until the caller has created it */
	bool can_seek;                 /* in it */
	const struct codec *codec;     /* NULL: none */
	int level;
	struct ring ring;
	struct output_slot slots[OUTPUT_SLOTS];
	uint8_t *memory; /* of all slots, in one mapping */
	size_t memory_size;

	/* The producer's: the thread that emits. */
	int slot;          /* the one being filled, or RING_OVER */
	size_t fill;       /* bytes in it */
	double begin, end; /* of the memory whose bytes are being emitted; begin < 0: none */
	struct bytes lent; /* that memory */
	bool is_split, is_closing;
	enum image_part selected;
	uint64_t back_start, front_size;
	uint8_t *front; /* what the front part waits with, FRAME_WRITE_SIZE bytes */
	size_t front_fill;

	pthread_mutex_t frames_lock;
	struct packed_frame {
		uint32_t packed, content;
	} * frames;
	size_t frame_count, frame_capacity;

	bool has_segments;
	struct segments segments;
	struct output_lane lanes[2];
	unsigned lane_count;
	uint64_t positions[PART_COUNT]; /* the writing thread's */
	size_t partial; /* bytes of the next slot that were written before an error */
};

/*
 * digests: enum kioku_digest, combined; MD5 that is refused becomes a warning. File, can_seek and
 * journal are for the caller to fill in. image_output_release() in any case, after all threads have ended.
 * Errors: NO_MEMORY, UNSUPPORTED.
 */
enum kioku_status image_output_init(struct image_output *output, struct run *run,
				    const struct codec *codec, int level, unsigned digests,
				    struct kioku_error *error);
void image_output_release(struct image_output *output);

/*
 * For the thread that emits: what follows comes from this block; NULL: it is not memory. Large
 * pieces of the block's own data are not copied, so that it must stay until image_output_wait()
 * has succeeded for an image_output_mark() that was taken after the last of it was emitted; if it
 * fails, because the output did, until all threads have ended: what was written is still digested.
 */
void image_output_block(struct image_output *output, const struct capture_block *block);
uint64_t image_output_mark(const struct image_output *output);
enum kioku_status image_output_wait(struct image_output *output, uint64_t mark,
				    struct kioku_error *error);

/* After the last writer_emit(): what closes a compressed file; the other threads come to an end. */
enum kioku_status image_output_end(struct image_output *output, struct kioku_error *error);

/* What the threads do; each returns when it is over. An error is run_fail()'s. */
void image_output_pack(struct image_output *output); /* any number; only with a codec */
void image_output_write(struct image_output *output);
void image_output_segment(struct image_output *output); /* only if has_segments */
void image_output_digest(struct output_lane *lane);

/* Bytes of the image so far, holes included. */
uint64_t image_output_size(const struct image_output *output);

/*
 * Once all threads have ended without an error: the image is finished where it is. Digests of one in
 * two parts come now, unless progress does not want to wait for them. Errors: of
 * destination_file_finish().
 */
enum kioku_status image_output_finish(struct image_output *output, bool (*progress)(void *user),
				      void *user, struct kioku_error *error);

#endif
