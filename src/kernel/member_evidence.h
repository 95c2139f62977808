/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What says where each member of inferred types is: lines of "TYPE\tMEMBER\tEVIDENCE\n", the form in which a
 * profile carries them.
 */
#ifndef KERNEL_MEMBER_EVIDENCE_H
#define KERNEL_MEMBER_EVIDENCE_H

#include "base/bytes.h"

/* Of the member that a path ("tasks.next") begins with; no data: it was not found. The text may be anything. */
struct bytes member_evidence_find(struct bytes text, const char *type, const char *path);

#endif
