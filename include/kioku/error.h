/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How libkioku reports failure: every fallible function returns a status and, when the caller
 * passes a struct kioku_error, fills it in. There is no error state in globals or handles.
 */
#ifndef KIOKU_ERROR_H
#define KIOKU_ERROR_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define KIOKU_PUBLIC __attribute__((visibility("default")))
#define KIOKU_CHECK  __attribute__((warn_unused_result))
#else
#define KIOKU_PUBLIC
#define KIOKU_CHECK
#endif

enum kioku_status {
	KIOKU_OK = 0,
	KIOKU_ERROR_NO_MEMORY,   /* an allocation failed */
	KIOKU_ERROR_OS,          /* a system call failed; os_errno says how */
	KIOKU_ERROR_ARGUMENT,    /* the caller asked for something impossible */
	KIOKU_ERROR_UNSUPPORTED, /* well-formed, but this build or image cannot do it */
	KIOKU_ERROR_CORRUPT,     /* the bytes contradict their own format */
	KIOKU_ERROR_ABSENT,      /* these physical bytes are not in the source */
	KIOKU_ERROR_UNMAPPED,    /* no page table entry maps this virtual address */
	KIOKU_ERROR_NOT_FOUND,   /* a name, process or kernel was looked for and is not there */
	KIOKU_ERROR_LIMIT,       /* a bound on time, size or loop length was reached */
	KIOKU_ERROR_STOPPED,     /* a callback asked to stop */
	KIOKU_ERROR_REFUSED,   /* evidence contradicts what was given (stale profile, wrong file) */
	KIOKU_ERROR_PAGED_OUT, /* this page is in swap, of which the image does not have it */
};

/* Owned by the caller; any function accepts NULL instead, which also skips formatting. */
struct kioku_error {
	enum kioku_status status;
	int os_errno;     /* 0 unless status is KIOKU_ERROR_OS */
	uint64_t address; /* the physical or virtual address at fault, 0 if none */
	char message
		[512]; /* one line, outermost action first: "cannot open X: cannot read Y: ..." */
};

/* A short English name, never NULL. */
KIOKU_PUBLIC const char *kioku_status_name(enum kioku_status status);

/* How bad a diagnostic is. A gap is a row, a branch or a page that was lost. */
enum kioku_severity { KIOKU_NOTE, KIOKU_WARNING, KIOKU_GAP };

/* Receives findings that do not end an operation. message is one line, borrowed for the call. */
typedef void kioku_diagnostic_fn(void *user, enum kioku_severity severity, const char *message);

#ifdef __cplusplus
}
#endif
#endif
