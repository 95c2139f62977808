/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * IMAGE.manifest.json, which proves an image and says what is in it (docs/manifest.md and
 * docs/manifest.schema.json), and IMAGE.manifest.partial, the journal of JSON lines that stands for
 * it while the image is being written.
 */
#ifndef FORMAT_MANIFEST_FORMAT_H
#define FORMAT_MANIFEST_FORMAT_H

#include <kioku/error.h>

#include "base/bytes.h"
#include "base/page_state.h"

#define MANIFEST_VERSION      1
#define MANIFEST_SEGMENT_SIZE (1u << 20)
#define MANIFEST_HASH_SIZE    32u

/*
 * One slice of the image file: [index * segment_size, + segment_size), the last one shorter.
 * begin, end: when the first and last memory in it was read, in seconds since the start.
 */
struct manifest_segment {
	uint8_t sha256[MANIFEST_HASH_SIZE];
	double begin, end;
	bool is_known; /* of a journal: written and noted down */
};

/*
 * One range of memory. states: run lengths of pages in ascending order, each a letter of
 * PAGE_STATE_LETTERS and a decimal count ("r12z4000p1"); every page that the range touches, even in
 * part, counts as one.
 */
struct manifest_range {
	uint64_t start, size; /* bytes; virtual addresses of a process, else physical */
	char *states;
};

struct manifest_file { /* a sidecar */
	char *name;    /* without its folder */
	char *origin;  /* of swap: the device or file it was taken from; or NULL */
	uint64_t size; /* bytes */
	char *sha256;
};

struct manifest_refusal {
	char *driver, *reason;
};

struct manifest_error {
	uint64_t physical, size; /* virtual of a process */
	char *reason;
};

/* Strings are allocated; NULL or "" where unknown. Times: ISO 8601 UTC. */
struct manifest {
	char *tool_version;
	bool complete;
	char *started, *ended;
	char *host_name, *release, *version, *machine, *boot_id, *cmdline; /* of a live machine */
	char *where, *driver;                                              /* of the source */
	char *process; /* an object of JSON, of the maker of a process's core; NULL: of a machine */
	struct manifest_refusal *refusals;
	size_t refusal_count;
	bool iomem_changed; /* of a live machine: between the start and the end */
	char *image_name, *image_format, *image_codec, *image_md5, *image_sha256;
	uint64_t image_size;
	char *converted_from; /* SHA-256 of the image that was converted; or NULL */
	char *memory_md5, *memory_sha256;
	struct manifest_range *ranges; /* ascending, disjoint */
	size_t range_count;
	struct manifest_segment *segments;
	size_t segment_count;
	char *root; /* manifest_root() of segments, hexadecimal; "" without segments */
	struct manifest_error *errors;
	size_t error_count;
	struct manifest_file *context; /* or NULL */
	struct manifest_file *swaps;
	size_t swap_count;
	uint64_t peak_memory; /* bytes resident, of the capturing process itself */
	double cpu_seconds;   /* it used */
};

/*
 * Both need manifest_release() in any case. Text that is null decodes to "", but converted_from and
 * origin to NULL. Errors: CORRUPT (with what and where: also where the parts contradict each other),
 * UNSUPPORTED (of a later version), NO_MEMORY. Of a journal, ranges have no states, segment_count is
 * what the last known one asks for, and a last line that was cut short is left out.
 */
enum kioku_status manifest_decode(struct bytes text, struct manifest *out,
				  struct kioku_error *error);
enum kioku_status journal_decode(struct bytes text, struct manifest *out,
				 struct kioku_error *error);
void manifest_release(struct manifest *manifest);

/*
 * The whole text, for the caller to free. Every range needs its states. Errors: NO_MEMORY.
 */
enum kioku_status manifest_encode(const struct manifest *manifest, char **out, size_t *size,
				  struct kioku_error *error);

/*
 * A journal's lines with their ends, for the caller to free: the first one, which takes of the
 * manifest what is known at the start, and one for each segment. NULL: no memory.
 */
char *journal_head(const struct manifest *manifest);
char *journal_line(uint64_t segment, const struct manifest_segment *content);

/*
 * The one object that a text is, without line ends: inside an object, these are never more than
 * blanks. For the caller to free. Errors: CORRUPT (it is none, or something follows it), NO_MEMORY.
 */
enum kioku_status manifest_object_line(struct bytes text, char **out, struct kioku_error *error);

/*
 * The Merkle tree hash of RFC 6962 section 2.1 whose leaves are the segments' SHA-256 digests:
 * SHA-256(0x00 || digest), SHA-256(0x01 || left || right). False: no memory.
 */
bool manifest_root(const struct manifest_segment *segments, size_t count,
		   uint8_t out[MANIFEST_HASH_SIZE]);

/* Whether root is that of the segments, or there are none. Errors: NO_MEMORY. */
enum kioku_status manifest_check_root(const struct manifest *manifest, bool *fits,
				      struct kioku_error *error);

/*
 * Steps through states: sets *state and *count and returns the rest of the text, or NULL at the end
 * or where it is damaged (*count is 0 then only at the end).
 */
const char *page_states_next(const char *states, enum page_state *state, uint64_t *count);

#endif
