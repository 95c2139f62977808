/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writing what a source holds into an image that other tools read, with digests and a manifest that
 * prove it later. Acquiring a live machine and converting a file are the same call.
 */
#ifndef KIOKU_CAPTURE_H
#define KIOKU_CAPTURE_H

#include <kioku/kernel.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A format that can be written. */
struct kioku_image_format {
	const char *name;      /* "lime", "padded", "raw", "elf", "avml", "kdump" */
	const char *extension; /* the usual one of its files, without the dot */
	const char *help;      /* one line */
};

/* All of them, the default first, NULL last. */
KIOKU_PUBLIC const struct kioku_image_format *const *kioku_image_formats(void);

/* Names of codecs that this build has, NULL last: "zstd", "lz4", "gzip". */
KIOKU_PUBLIC const char *const *kioku_image_codecs(void);

enum kioku_digest { KIOKU_DIGEST_MD5 = 1, KIOKU_DIGEST_SHA256 = 2 };

struct kioku_capture_progress {
	uint64_t done, total; /* bytes of memory, of all that the plan has */
	uint64_t written;     /* bytes of the image */
	uint64_t lost;        /* bytes of memory that could not be had so far */
	double seconds;       /* since the start */
};

/*
 * Called some times a second, from the thread that called kioku_capture(). False asks for a clean
 * stop: the image ends there as a valid prefix, and its manifest says so.
 */
typedef bool kioku_capture_progress_fn(void *user, const struct kioku_capture_progress *progress);

struct kioku_capture_options {
	size_t size;        /* sizeof(struct kioku_capture_options) */
	const char *format; /* of kioku_image_formats(); NULL: by the destination's extension */
	const char
		*codec; /* of kioku_image_codecs(), or "none"; NULL: by the extension, else none */
	const char *page_codec; /* of kdump pages: "zlib", "zstd", "snappy" or "none"; NULL: zlib */
	int level;              /* of the codec; 0: its default */
	unsigned threads;       /* that compress; 0: as many as there are CPUs */
	unsigned digests;       /* enum kioku_digest, combined; 0: none, and no segment digests */
	uint64_t rate;          /* bytes of memory a second at most; 0: no limit */
	unsigned read_timeout;  /* milliseconds after which a page is given up; 0: wait for ever */
	const char *manifest;   /* path; NULL: beside the image, none for a stream */
	const char *token_file; /* of kioku://: a key or a token, instead of the URL's; or NULL */
	unsigned retry;         /* seconds for which a lost link is tried again; 0: 3600 */
	const char *signing_key; /* path of an Ed25519 private key in PEM; NULL: not signed */
	bool context;            /* of a live machine: archive what makes the image readable */
	bool swap;               /* of a live machine: also take swap areas */
	struct kioku_kernel
		*kernel; /* of the source: VMCOREINFO and virtual addresses; may be NULL */
	kioku_capture_progress_fn *progress; /* may be NULL */
	void *progress_user;
	kioku_diagnostic_fn *diagnostic; /* may be NULL; called from the calling thread only */
	void *diagnostic_user;
};

struct kioku_capture_result {
	uint64_t
		memory_size; /* bytes of all ranges of the plan, but what a process never touched */
	uint64_t lost_size;  /* bytes of them that could not be had, and should have been there */
	uint64_t image_size; /* bytes written */
	bool complete;       /* false: it was stopped, and the image is a prefix */
	char place[256];     /* what the far side calls the place where it is now; or "" */
	double seconds;
	char image_md5[33], image_sha256[65];   /* hexadecimal; "" if not asked for */
	char memory_md5[33], memory_sha256[65]; /* of all ranges, ascending, lost bytes as zeros */
};

/*
 * Captures a source to destination: a path of a file that must not exist yet, "-" for the standard
 * output, tcp://HOST:PORT, tcp-listen://[ADDR]:PORT, ssh://[USER@]HOST[:PORT]/PATH, or
 * kioku://HOST:PORT/NAME#KEY. Sidecars stand beside a file: DESTINATION.manifest.json (while it is being
 * written DESTINATION.manifest.partial, which a killed capture leaves behind), .md5, .sha256,
 * .manifest.json.sig, .context.tar.gz, .swapN. Losing pages is no error: they are diagnosed as
 * KIOKU_GAP, counted in the result and mapped in the manifest. The source must not be used by
 * anybody else meanwhile. SIGPIPE must be ignored by the caller.
 * Errors: OS (also when the output fails: what was written stays, as a prefix), ARGUMENT (an unknown
 * format, the destination exists), REFUSED (by the far side), CORRUPT (the far side has something else
 * than was sent), STOPPED (while the destination was waited for), UNSUPPORTED, NO_MEMORY. *result is
 * filled in even then.
 */
KIOKU_PUBLIC KIOKU_CHECK enum kioku_status
kioku_capture(struct kioku_source *source, const char *destination,
	      const struct kioku_capture_options *options, struct kioku_capture_result *result,
	      struct kioku_error *error);

/*
 * Whether a process could be captured to destination with these options, as far as that can be told before there
 * is a source, for whoever has to stop it first: nothing is made, and of a far place only the name is looked at.
 * Errors: ARGUMENT (as above), OS (the folder cannot be written to, or the key not read), UNSUPPORTED, NO_MEMORY.
 */
KIOKU_PUBLIC KIOKU_CHECK enum kioku_status
kioku_capture_check_process(const char *destination, const struct kioku_capture_options *options,
			    struct kioku_error *error);

#ifdef __cplusplus
}
#endif
#endif
