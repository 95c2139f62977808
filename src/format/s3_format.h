/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What an S3 server answers: a small XML document, of which the texts of some children of the root
 * matter (Amazon S3 API Reference). Not an XML parser: no entities but the predefined ones and
 * numbers, no CDATA; a document type is refused.
 */
#ifndef FORMAT_S3_FORMAT_H
#define FORMAT_S3_FORMAT_H

#include "base/bytes.h"

#define S3_TEXT_SIZE 512u

/* Printable ASCII. "" where there is none, or, but for root and message, where it is too long or odd. */
struct s3_answer {
	char root[64]; /* these two may be cut */
	char message[S3_TEXT_SIZE];
	char upload_id[2 * S3_TEXT_SIZE];
	char etag[S3_TEXT_SIZE];
	char code[64];
};

/* False: it is no such document; what was found up to there is in *out. */
bool s3_answer_decode(struct bytes text, struct s3_answer *out);

#endif
