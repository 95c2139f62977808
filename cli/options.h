/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The command line, parsed: every option is one row of a table, of the one in options.c if several
 * commands take it, or of a command's own.
 */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <kioku/capture.h>
#include <kioku/layout.h>
#include <kioku/receive.h>
#include <kioku/serve.h>
#include <kioku/snapshot.h>
#include <kioku/source.h>

struct command;

/* Bits for struct command.options, in the order of the table in options.c. */
#define OPTION_HELP         (UINT64_C(1) << 0)
#define OPTION_FORMAT       (UINT64_C(1) << 1)
#define OPTION_COLUMNS      (UINT64_C(1) << 2)
#define OPTION_PIDS         (UINT64_C(1) << 3) /* --pid with a list, for rows */
#define OPTION_PID          (UINT64_C(1) << 4) /* --pid with one process, for an address space */
#define OPTION_CR3          (UINT64_C(1) << 5)
#define OPTION_PHYSICAL     (UINT64_C(1) << 6)
#define OPTION_ALL          (UINT64_C(1) << 7)
#define OPTION_NAME         (UINT64_C(1) << 8)
#define OPTION_STEPS        (UINT64_C(1) << 9)
#define OPTION_PAD          (UINT64_C(1) << 10)
#define OPTION_OUTPUT       (UINT64_C(1) << 11)
#define OPTION_MAP          (UINT64_C(1) << 12)
#define OPTION_PROFILE      (UINT64_C(1) << 13)
#define OPTION_NO_CACHE     (UINT64_C(1) << 14)
#define OPTION_STATS        (UINT64_C(1) << 15)
#define OPTION_LIST         (UINT64_C(1) << 16)
#define OPTION_IMAGE        (UINT64_C(1) << 17) /* --output with what acquire makes of it */
#define OPTION_AS           (UINT64_C(1) << 18)
#define OPTION_COMPRESS     (UINT64_C(1) << 19)
#define OPTION_DIGEST       (UINT64_C(1) << 20)
#define OPTION_SIGN         (UINT64_C(1) << 21)
#define OPTION_MANIFEST     (UINT64_C(1) << 22)
#define OPTION_CONTEXT      (UINT64_C(1) << 23)
#define OPTION_NO_CONTEXT   (UINT64_C(1) << 24)
#define OPTION_SWAP         (UINT64_C(1) << 25)
#define OPTION_RATE         (UINT64_C(1) << 26)
#define OPTION_TIMEOUT      (UINT64_C(1) << 27)
#define OPTION_THREADS      (UINT64_C(1) << 28)
#define OPTION_LOW_PRIORITY (UINT64_C(1) << 29)
#define OPTION_KEY          (UINT64_C(1) << 30)
#define OPTION_RANGE        (UINT64_C(1) << 31)
#define OPTION_TO           (UINT64_C(1) << 32)
#define OPTION_TOKEN_FILE   (UINT64_C(1) << 33)
#define OPTION_RETRY        (UINT64_C(1) << 34)
#define OPTION_LISTEN       (UINT64_C(1) << 35)
#define OPTION_ADVERTISE    (UINT64_C(1) << 36)
#define OPTION_OUT          (UINT64_C(1) << 37)
#define OPTION_STANDING     (UINT64_C(1) << 38)
#define OPTION_TOKENS       (UINT64_C(1) << 39)
#define OPTION_QUOTA        (UINT64_C(1) << 40)
#define OPTION_DONE_COUNT   (UINT64_C(1) << 41)
#define OPTION_CONNECTIONS  (UINT64_C(1) << 42)
#define OPTION_JSON         (UINT64_C(1) << 43)
#define OPTION_STORE        (UINT64_C(1) << 44)
#define OPTION_REGION       (UINT64_C(1) << 45)
#define OPTION_CREDENTIALS  (UINT64_C(1) << 46)
#define OPTION_STORE_CA     (UINT64_C(1) << 47)
#define OPTION_AREA         (UINT64_C(1) << 48)
#define OPTION_SWAP_FILE    (UINT64_C(1) << 49) /* --swap with the image of an area */
#define OPTION_FSTYPE       (UINT64_C(1) << 50)
#define OPTION_PATH         (UINT64_C(1) << 51)
#define OPTION_VMLINUX      (UINT64_C(1) << 52)
#define OPTION_NO_BTF       (UINT64_C(1) << 53)
#define OPTION_TYPES        (UINT64_C(1) << 54)
#define OPTION_SYMBOLS      (UINT64_C(1) << 55)
#define OPTION_FORCE        (UINT64_C(1) << 56)

#define OPTIONS_SOURCE      (OPTION_MAP | OPTION_STATS)
#define OPTIONS_GIVEN                                                                       \
	(OPTION_PROFILE | OPTION_NO_CACHE | OPTION_NO_BTF | OPTION_TYPES | OPTION_SYMBOLS | \
	 OPTION_FORCE)
#define OPTIONS_KERNEL (OPTIONS_SOURCE | OPTIONS_GIVEN | OPTION_SWAP_FILE)
#define OPTIONS_SPACE  (OPTION_PID | OPTION_CR3)
#define OPTIONS_FILES  (OPTION_FSTYPE | OPTION_PATH)

struct options;

struct option_row {
	const char *name;
	char letter;          /* 0: none */
	const char *argument; /* what it looks like, for help and errors; NULL: a flag */
	/* False when the argument (NULL of a flag) cannot be read. */
	bool (*parse)(struct options *options, const struct command *command, const char *text);
	size_t member; /* without it: where in struct options it is kept; 0: nowhere */
	const char *help;
};

/* parse and member of an option: it is enough to know that it was given; a function reads it; a member keeps its
 * argument, which must not be empty, or that the flag was given. */
#define GIVEN         NULL, 0
#define BY(function)  function, 0
#define TEXT_OF(name) NULL, OFFSET_OF(name, const char *)
#define FLAG_OF(name) NULL, OFFSET_OF(name, bool)
#define OFFSET_OF(name, type) \
	(offsetof(struct options, name) + _Generic(((struct options *)0)->name, type : 0))

#define AREA_LIMIT 32
#define SWAP_LIMIT 32 /* areas that a kernel can have */

/* What snapshot alone takes. */
struct snapshot_request {
	struct kioku_snapshot_options options; /* but for the areas */
	const char *name;                      /* of processes, instead of their numbers */
	const char *rebuild;                   /* the core of a moment of a series */
	uint64_t repeat; /* nanoseconds from one moment to the next; 0: there is one only */
	uint64_t count;  /* moments; 0: until it ends */
	bool tree, dry_run;
};

/* What views that search memory take. */
struct search_request {
	uint64_t minimum; /* 0: not given */
	const char *encoding, *rules;
	bool owners, physical;
};

struct options {
	uint64_t given;             /* OPTION_..., combined */
	const char *arguments[3];   /* positional; NULL past the last */
	char *const *all_arguments; /* of a command that takes any number: "PID..." */
	size_t argument_count;
	const char *format; /* one of the command's own */
	const char *columns, *name, *output, *fstype, *path, *profile, *manifest, *key, *token_file;
	const char *types, *symbols; /* files of the kernel's */
	char *to;                    /* owned */
	int32_t *pids;
	size_t pid_count;
	uint64_t cr3;
	uint64_t range_start, range_size; /* bytes of a file; size 0: not given */
	struct kioku_placement *placements;
	size_t placement_count;
	const char *swaps[SWAP_LIMIT]; /* images of swap areas */
	size_t swap_count;
	struct kioku_area areas[AREA_LIMIT];
	size_t area_count;
	unsigned threads;                     /* 0: not given */
	struct kioku_capture_options capture; /* what was given of it; the rest is 0 */
	struct kioku_receive_options receive; /* likewise */
	struct kioku_serve_options serve;     /* likewise */
	struct snapshot_request snapshot;     /* likewise */
	struct kioku_layout_options layout;   /* likewise */
	bool list_missing, preserve;          /* of recover */
	struct search_request search;
	const char *dump;    /* of maps */
	const char *vmlinux; /* of check */
};

/*
 * argv[0] is the command's name. Returns STATUS_COMPLETE, or STATUS_USAGE after saying why.
 * Either way the caller calls options_release().
 */
int options_parse(struct options *options, const struct command *command, int argc, char **argv);
void options_release(struct options *options);

/* One line an option that the command takes. */
void options_print_help(FILE *file, const struct command *command);

#endif
