/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gdb://HOST:PORT?NAME=VALUE&...: a machine that QEMU's debugger stub has stopped. */
#include <errno.h>
#include <stdio.h>

#include "base/error.h"
#include "base/url.h"
#include "source/driver.h"
#include "source/gdb_client.h"
#include "source/qemu_machine.h"

#define PORT              1234u /* as qemu -s has it */
#define TIMEOUT           30000 /* ms */
#define TIMEOUT_LIMIT     600000
#define FORM              "gdb://ADDRESS:PORT"
#define LAST_TO_SAY_MAJOR 8u
#define LAST_TO_SAY_MINOR 0u

enum resume { RESUME_AS_FOUND, RESUME_YES, RESUME_NO };

struct gdb {
	const struct diagnostics *diagnostics; /* the source's */
	struct gdb_client *client;
	enum resume resume;
	bool stood_still; /* already when this began */
	unsigned long timeout;
};

/* --- what the URL says */

static enum kioku_status parse_parameter(struct gdb *gdb, const char *text,
					 struct kioku_error *error)
{
	char *end = NULL;

	if (strcmp(text, "resume=yes") == 0 || strcmp(text, "resume=no") == 0) {
		gdb->resume = text[7] == 'y' ? RESUME_YES : RESUME_NO;
		return KIOKU_OK;
	}
	if (strncmp(text, "timeout=", 8) == 0 && text[8] >= '0' && text[8] <= '9') {
		gdb->timeout = strtoul(text + 8, &end, 10);
		if (*end == '\0' && gdb->timeout > 0 && gdb->timeout <= TIMEOUT_LIMIT)
			return KIOKU_OK;
	}
	return error_set(error, KIOKU_ERROR_ARGUMENT,
			 "\"%s\" is no parameter: there are resume=yes, resume=no, and "
			 "timeout=MILLISECONDS up to 600000",
			 text);
}

static enum kioku_status parse(struct gdb *gdb, const char *where, struct sockaddr_storage *address,
			       socklen_t *size, struct kioku_error *error)
{
	AUTO_URL struct url url = { 0 };
	AUTO_FREE char *text = strdup(where);

	if (!text)
		return error_no_memory(error);
	char *rest = strchr(text, '?');
	if (rest)
		*rest++ = '\0';
	TRY(url_parse(text, &url, error));
	if (!url.scheme || !*url.host || *url.user || *url.path || *url.fragment)
		return error_set(error, KIOKU_ERROR_ARGUMENT, "a debugger stub is " FORM);
	TRY(socket_address(url.host, url.has_port ? url.port : PORT, address, size, error));
	for (char *next; rest && *rest; rest = next) {
		next = strchr(rest, '&');
		if (next)
			*next++ = '\0';
		TRY(parse_parameter(gdb, rest, error));
	}
	return KIOKU_OK;
}

/* --- the driver */

static enum kioku_status ask_monitor(void *user, const char *command, char **answer,
				     struct kioku_error *error)
{
	return gdb_client_monitor(user, command, answer, error);
}

/*
 * Up to 8.0, QEMU says of a machine that it stops for a debugger that it has stopped; later ones say
 * nothing, whether it ran or not (758370052fb6, "gdbstub: only send stop-reply packets when allowed").
 */
static bool stood_still(struct gdb_client *client)
{
	AUTO_FREE char *text = NULL;
	unsigned major, minor;

	if (gdb_client_has_stopped(client) ||
	    gdb_client_monitor(client, "info version", &text, NULL) != KIOKU_OK ||
	    !monitor_version((struct bytes){ (uint8_t *)text, strlen(text) }, &major, &minor))
		return false;
	return major < LAST_TO_SAY_MAJOR ||
	       (major == LAST_TO_SAY_MAJOR && minor <= LAST_TO_SAY_MINOR);
}

static bool resumes(const struct gdb *gdb)
{
	return gdb->resume == RESUME_YES || (gdb->resume == RESUME_AS_FOUND && !gdb->stood_still);
}

static void say_what_stops(const struct kioku_source *source)
{
	diagnose(&source->diagnostics, KIOKU_NOTE, "the machine stands still while it is read%s",
		 resumes(source->state) ? ", and then runs on" : ", and stays so");
}

/* RAM as the stub's monitor says it; without one, the kernel is asked later. */
static enum kioku_status begin(struct kioku_source *source, struct gdb_client *client,
			       struct kioku_error *error)
{
	CLEANUP(qemu_machine_release) struct qemu_machine machine = { 0 };
	CLEANUP(range_map_release) struct range_map ram = { 0 };
	struct qemu_monitor monitor = { ask_monitor, client };
	enum kioku_status status = qemu_machine_ask(&monitor, &machine, error);

	if (status == KIOKU_ERROR_UNSUPPORTED)
		return remote_begin(source, NULL, error);
	TRY(status);
	if (!qemu_machine_list_ram(&machine, &ram))
		return error_no_memory(error);
	source->cpu_count = machine.cpu_count;
	source->cpus = TAKE(machine.cpus);
	return remote_begin(source, &ram, error);
}

static enum kioku_status open_gdb(struct kioku_source *source,
				  const struct kioku_source_options *options,
				  struct kioku_error *error)
{
	struct gdb *gdb = source->state = calloc(1, sizeof(*gdb));
	struct sockaddr_storage address;
	socklen_t size;

	if (!gdb)
		return error_no_memory(error);
	gdb->diagnostics = &source->diagnostics;
	gdb->timeout = TIMEOUT;
	TRY(parse(gdb, source->where, &address, &size, error));
	TRY(gdb_client_open(&address, size, (double)gdb->timeout / 1000, &gdb->client, error));
	gdb->stood_still = stood_still(gdb->client);
	say_what_stops(source);
	return begin(source, gdb->client, error);
}

static void close_gdb(struct kioku_source *source)
{
	struct gdb *gdb = source->state;

	if (!gdb)
		return;
	gdb_client_close(gdb->client, resumes(gdb));
	free(TAKE(source->state));
}

/* Once: whoever reads on finds everything absent, for this one reason. */
static void read_many(void *state, struct remote_read *reads, size_t count)
{
	struct gdb *gdb = state;
	bool was_broken = gdb_client_problem(gdb->client) != NULL;

	gdb_client_read(gdb->client, reads, count);
	if (!was_broken && gdb_client_problem(gdb->client))
		diagnose(gdb->diagnostics, KIOKU_GAP, "nothing more can be read: %s",
			 gdb_client_problem(gdb->client));
}

static struct kioku_source_stats stats(const void *state)
{
	return gdb_client_stats(((const struct gdb *)state)->client);
}

static const struct remote_driver gdb_remote = { .read_many = read_many, .stats = stats };

const struct source_driver gdb_source = {
	.name = "gdb",
	.help = "debugger stub of QEMU",
	.open = open_gdb,
	.remote = &gdb_remote,
	.close = close_gdb,
};
