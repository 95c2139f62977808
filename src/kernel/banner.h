/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "Linux version RELEASE (builder) (compiler) #1 SMP ...", init/version-timestamp.c: what it says of its source. */
#ifndef KERNEL_BANNER_H
#define KERNEL_BANNER_H

#include "base/bytes.h"

/*
 * Whether a version stands in a banner, as the release or elsewhere (Debian's "6.1.0-56-amd64 ... 6.1.192-1"), and
 * not as a part of another number: 6.1.19 is not in 6.1.192.
 */
bool banner_has_version(struct bytes banner, struct bytes version);

/*
 * Whether a release, the start of a banner, may be a distributor's name for a version that it does not say: the third
 * number is 0, and the two before are the version's (5.15.0-91-generic of 5.15.131).
 */
bool banner_may_be_version(struct bytes release, struct bytes version);

#endif
