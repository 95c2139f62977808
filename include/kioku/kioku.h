/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libkioku: physical memory of Linux machines, read as evidence.
 *
 * Handles are opened and closed in pairs; close functions accept NULL. A const pointer that is
 * returned is borrowed until its parent closes. out parameters are written only on success. One
 * thread may use a handle, and what was opened from it, at a time; distinct sources are independent.
 */
#ifndef KIOKU_KIOKU_H
#define KIOKU_KIOKU_H

#include <kioku/address.h>
#include <kioku/capture.h>
#include <kioku/error.h>
#include <kioku/isf.h>
#include <kioku/kernel.h>
#include <kioku/layout.h>
#include <kioku/receive.h>
#include <kioku/recover.h>
#include <kioku/serve.h>
#include <kioku/snapshot.h>
#include <kioku/source.h>
#include <kioku/symbol.h>
#include <kioku/type.h>
#include <kioku/verify.h>
#include <kioku/view.h>

#endif
