/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A record of LiME version 1 (LiME src/lime.h, struct lime_mem_range_header), all little-endian:
 * u32 magic, u32 version, u64 first byte, u64 last byte, u8[8] zero. Also for the kernel module:
 * nothing is included here.
 */
#ifndef FORMAT_LIME_LAYOUT_H
#define FORMAT_LIME_LAYOUT_H

#define LIME_MAGIC       0x4c694d45u /* "EMiL" in the file */
#define LIME_VERSION     1u
#define LIME_HEADER_SIZE 32u

#define LIME_AT_MAGIC    0
#define LIME_AT_VERSION  4
#define LIME_AT_START    8
#define LIME_AT_LAST     16

#endif
