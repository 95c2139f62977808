/* SPDX-License-Identifier: GPL-2.0-only */
/* Where a dump goes: a file, or a client that connects. All functions: 0 or a negative errno. */
#ifndef KIOKU_OUTPUT_H
#define KIOKU_OUTPUT_H

#include <linux/types.h>

struct output;

struct output_settings {
	const char *path;            /* FILE, or tcp:PORT */
	bool direct;                 /* without the page cache where the file system can */
	bool local;                  /* only clients of this machine */
	unsigned int accept_timeout; /* ms, 0: wait for ever */
};

struct output_driver {
	size_t size; /* of what begins with a struct output */
	/* Makes sure of whatever can be made sure of before there is a part. */
	int (*open)(struct output *output);
	/* A part: the image, whose suffix is "", or what lies beside it. */
	int (*begin)(struct output *output, const char *suffix);
	/* data lies in one compound page, which whoever refers to it may keep as it is. */
	int (*write)(struct output *output, const void *data, size_t size);
	/* All of the part is where it belongs. */
	int (*end)(struct output *output);
	/* Also after a failure, anywhere. */
	void (*close)(struct output *output);
};

struct output {
	const struct output_driver *driver;
	const struct output_settings *settings;
};

extern const struct output_driver file_output, tcp_output;

/* On failure there is nothing to close. */
int output_open(const struct output_settings *settings, struct output **out);
void output_close(struct output *output);

/* By what a path says. */
bool output_is_tcp(const struct output_settings *settings);

/*
 * Checks everything in settings that can be wrong without trying it. Negative: it is, and was said.
 */
int output_check(const struct output_settings *settings);

/* Of a path tcp:PORT. */
int output_port(const struct output_settings *settings, u16 *port);

#endif
