/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The file in which a located kernel is kept for its next image: what it is known by, and its
 * symbols and types in the forms that symbol/ and type/ read in place. All little-endian.
 *
 *	offset	size
 *	0	8	magic
 *	8	16	XXH3 of 128 bits, canonical, of everything from offset 24 on: against accidents,
 *			and so fast that reading the file takes the time and not the digest
 *	24	8	distance from the start of the kernel image to its build id
 *	32	8	  "  to its banner
 *	40	8	  "  to what symbols are relative to
 *	48	8, 8	offset and size of the symbols in this file
 *	64	8, 8	offset and size of the types
 *	80	4	size of the build id, at most 32
 *	84	4	size of the banner, at most 512
 *	88	32	build id
 *	120	512	banner
 *	632	4	flags: 1, the types are not the BTF of the image
 *	636	4	0
 *	640	192	what the symbols came from, in words; the texts end in NULs
 *	832	192	what the types came from
 *	1024	304	why they did not fit the image and were used by force; empty: they did
 *	1328	8, 8	offset and size of what says where members of inferred types are, see
 *			kernel/member_evidence.h; size 0: the types were not inferred
 *	1344	64	of layouts made from source, which have neither symbols, nor build id, nor banner: the version
 *			of the source, "6.1.192"; empty: a located kernel's
 *	1408	64	  "  what its configuration adds to that for the release (CONFIG_LOCALVERSION)
 *	1472		symbols, types and evidence, the first two aligned to 64 bytes
 */
#ifndef FORMAT_PROFILE_FORMAT_H
#define FORMAT_PROFILE_FORMAT_H

#include "base/bytes.h"

#define PROFILE_MAGIC         "kiokuP\x03\n"
#define PROFILE_DIGEST_OFFSET 8
#define PROFILE_DIGEST_SIZE   16
#define PROFILE_DIGEST_START  24 /* what the digest covers starts here */
#define PROFILE_HEADER_SIZE   1472
#define PROFILE_ALIGNMENT     64
#define PROFILE_BUILD_ID_MAX  32
#define PROFILE_BANNER_MAX    512
#define PROFILE_EVIDENCE_MAX  192
#define PROFILE_FORCED_MAX    304
#define PROFILE_VERSION_MAX   64

struct profile_header {
	uint8_t digest[PROFILE_DIGEST_SIZE];
	uint64_t build_id_distance, banner_distance, base_distance;
	uint64_t symbols_offset, symbols_size, types_offset, types_size;
	uint64_t evidence_offset, evidence_size;
	uint32_t build_id_size, banner_size;
	uint8_t build_id[PROFILE_BUILD_ID_MAX];
	char banner[PROFILE_BANNER_MAX];
	bool types_are_foreign;
	/* These end in a NUL. */
	char symbols_evidence[PROFILE_EVIDENCE_MAX], types_evidence[PROFILE_EVIDENCE_MAX];
	char forced[PROFILE_FORCED_MAX];
	char source_version[PROFILE_VERSION_MAX], local_version[PROFILE_VERSION_MAX];
};

/* False if the bytes do not start a profile. Sections are not checked against the file's size. */
bool profile_header_decode(struct bytes bytes, struct profile_header *out);
void profile_header_encode(const struct profile_header *header, uint8_t out[PROFILE_HEADER_SIZE]);

#endif
