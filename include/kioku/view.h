/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Views: tables of facts about a kernel, one row at a time. */
#ifndef KIOKU_VIEW_H
#define KIOKU_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <kioku/kernel.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kioku_view;

enum kioku_kind {
	KIOKU_KIND_INTEGER,  /* cell.value.integer */
	KIOKU_KIND_UNSIGNED, /* cell.value.number */
	KIOKU_KIND_ADDRESS,  /* cell.value.number, shown in hexadecimal */
	KIOKU_KIND_SIZE,     /* cell.value.number, bytes */
	KIOKU_KIND_TEXT,     /* cell.value.text: bytes from the target, any value but not escaped */
	KIOKU_KIND_BOOLEAN,  /* cell.value.boolean */
	KIOKU_KIND_TIME,     /* cell.value.integer: nanoseconds since 1970-01-01 UTC */
	KIOKU_KIND_TEXTS,    /* cell.value.text: any number of such texts, with a NUL behind each */
};

struct kioku_column {
	const char *name; /* snake_case */
	enum kioku_kind kind;
	const char *help; /* one line, units included */
	bool optional;    /* shown only when asked for by --columns or all columns */
};

enum kioku_presence {
	KIOKU_CELL_PRESENT,
	KIOKU_CELL_NOT_APPLICABLE, /* this row has no such thing; not a gap */
	KIOKU_CELL_UNREADABLE,     /* the bytes are not in the image */
	KIOKU_CELL_UNMAPPED,
	KIOKU_CELL_PAGED_OUT,
	KIOKU_CELL_UNSUPPORTED, /* this kernel has no such member, or its type is unknown */
	KIOKU_CELL_CORRUPT,     /* read, but it cannot be right */
};

/* "unreadable", "unmapped", ...; static. */
KIOKU_PUBLIC const char *kioku_presence_name(enum kioku_presence presence);

struct kioku_cell {
	enum kioku_presence presence;
	union {
		int64_t integer;
		uint64_t number;
		bool boolean;
		struct {
			const char *data; /* not NUL-terminated */
			size_t size;
		} text;
	} value;
};

/* NULL-terminated array of all views, in the order in which help lists them. */
KIOKU_PUBLIC const struct kioku_view *const *kioku_views(void);
KIOKU_PUBLIC const struct kioku_view *kioku_view_find(const char *name);
KIOKU_PUBLIC const char *kioku_view_name(const struct kioku_view *view);
KIOKU_PUBLIC const char *kioku_view_help(const struct kioku_view *view);

/*
 * The columns of a view, in the order of a row's cells; NULL past the last. The last one of every view is "basis":
 * what the row rests on, as kioku_basis_name() has it. It does not apply to a row for which nothing was read by the
 * kernel's types, unless something is forced. Where kioku_kernel_basis() is INFERRED or FORCED, whoever passes rows
 * on should show it, asked for or not.
 */
KIOKU_PUBLIC const struct kioku_column *kioku_view_column(const struct kioku_view *view,
							  size_t index);
KIOKU_PUBLIC size_t kioku_view_column_count(const struct kioku_view *view);

/* What a view understands besides format and columns; enum kioku_view_option, combined. */
enum kioku_view_option {
	KIOKU_VIEW_PID = 1,        /* pids limits the rows */
	KIOKU_VIEW_ALL = 2,        /* all shows rows that are hidden by default */
	KIOKU_VIEW_NAME = 4,       /* name is a glob that limits the rows */
	KIOKU_VIEW_SPACE = 8,      /* the rows are about one address space: space, or one pid */
	KIOKU_VIEW_ADDRESS = 16,   /* address is required */
	KIOKU_VIEW_STEPS = 32,     /* steps shows how each row came about */
	KIOKU_VIEW_TREE = 64,      /* rows come depth first, and a column "depth" says how deep */
	KIOKU_VIEW_FILES = 128,    /* fstype and path limit the rows */
	KIOKU_VIEW_STRINGS = 1024, /* minimum and encoding say what is looked for; takes a while */
	KIOKU_VIEW_RULES = 2048, /* rules are required; physical looks into all memory; likewise */
	KIOKU_VIEW_KERNEL_FILE = 8192, /* kernel_file is compared with */
	KIOKU_VIEW_MEMORY = 16384,     /* does without a kernel (memory_alone); takes a while */
	KIOKU_VIEW_CONFIG =
		32768,           /* a row is an option: its columns name and value make a .config */
	KIOKU_VIEW_AREAS = 4096, /* a row is an area of a process: columns pid, start and end */
};
KIOKU_PUBLIC unsigned kioku_view_option_mask(const struct kioku_view *view);

struct kioku_view_options {
	size_t size; /* sizeof(struct kioku_view_options) */
	const int32_t *pids;
	size_t pid_count; /* 0: all */
	bool all;
	const char *name;
	struct kioku_address_space *space; /* NULL: the kernel's own */
	uint64_t address;
	bool steps;
	/*
	 * Bit i: column i will be looked at; 0: all will. Cells of other columns may be absent, so that
	 * what they would cost is saved: over a link, a request each.
	 */
	uint64_t columns;
	const char *fstype;      /* as /proc/mounts has it; NULL: all */
	const char *path;        /* a glob, also of a folder above; NULL: all */
	uint64_t minimum;        /* characters of a string; 0: 4 */
	const char *encoding;    /* "ascii", "utf16le" or "all"; NULL: all */
	const char *rules;       /* a file of YARA rules */
	const char *kernel_file; /* the kernel's vmlinux or vmlinuz; NULL: it is not at hand */
	bool physical;           /* all memory, and not that of processes */
	/* Called now and then while a view takes its time; in bytes. NULL: nobody asks. */
	void (*progress)(void *user, uint64_t done, uint64_t total, uint64_t lost);
	void *progress_user;
};

/* cells are the view's columns in order, valid until the call returns. Not OK: the view stops. */
typedef enum kioku_status kioku_row_fn(void *user, const struct kioku_cell *cells, size_t count);

/*
 * Runs a view. Damage on the way is reported to the kernel's diagnostic function and costs the
 * rows it hit, not the rest.
 * Errors: UNSUPPORTED (the image lacks symbols, types or members that the view cannot do without;
 * the message names them), STOPPED.
 */
KIOKU_PUBLIC KIOKU_CHECK enum kioku_status kioku_view_run(const struct kioku_view *view,
							  struct kioku_kernel *kernel,
							  const struct kioku_view_options *options,
							  kioku_row_fn *row, void *user,
							  struct kioku_error *error);

/*
 * Whether a kernel's symbols and types let a view run: KIOKU_OK, or UNSUPPORTED with a message
 * that names what is missing.
 */
KIOKU_PUBLIC enum kioku_status kioku_view_supported(const struct kioku_view *view,
						    struct kioku_kernel *kernel,
						    struct kioku_error *error);

#ifdef __cplusplus
}
#endif
#endif
