/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which compiler a configuration was made with, and which one of this machine is next to it. */
#ifndef LAYOUT_COMPILER_H
#define LAYOUT_COMPILER_H

#include <stddef.h>

#include "base/bytes.h"

/*
 * By CONFIG_CC_VERSION_TEXT, without quotes ("gcc-12 (Debian 12.2.0-14) 12.2.0", "Debian clang version 14.0.6"): the
 * program of that name or version if PATH has it, else gcc or clang.
 */
void compiler_choose(struct bytes text, char *out, size_t size);

#endif
