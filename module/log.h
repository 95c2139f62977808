/* SPDX-License-Identifier: GPL-2.0-only */
/* Before all else in each file: how its log lines begin. */
#define pr_fmt(format) "kioku: " format
