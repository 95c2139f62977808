/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files on a far machine, each written by a command that ssh runs there. */
#include "transfer/destination_driver.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "transfer/ssh_client.h"

/* milliseconds: without progress, for somebody in a hurry; that a command has to end */
enum { HURRY = 5000, END_LIMIT = 15000 };

/* $1: the image's path. Anything that is there under its name, or that with a suffix, is refused. */
static const char probe_script[] =
	"d=${1%/*}; d=${d:-/}; a=ready; "
	"for f in \"$1\" \"$1\".*; do "
	"if test -e \"$f\" || test -L \"$f\"; then a=\"exists $f\"; break; fi; done; "
	"if test -d \"$d\"; then test -w \"$d\" || a=readonly; else a=absent; fi; "
	"echo \"" SSH_ANSWER "$a\"; if test \"$a\" = ready; then exec cat >/dev/null; fi";

/* The shell makes the file itself, by O_EXCL (noclobber), before cat has its first byte. */
static const char create_script[] =
	"umask 077; "
	"if test -e \"$1\" || test -L \"$1\"; then echo \"" SSH_ANSWER "exists\"; exit 1; fi; "
	"set -C; exec 3>\"$1\" || exit 1; echo \"" SSH_ANSWER "ready\"; exec cat >&3";

/* $2: sha256 or size. Answers with the size, and the digest in whatever form there is. */
static const char compare_script[] =
	"sync \"$1\" 2>/dev/null; s=; has() { command -v \"$1\" >/dev/null 2>&1; }; "
	"if test \"$2\" = size; then :; "
	"elif has sha256sum; then s=$(sha256sum <\"$1\"); "
	"elif has shasum; then s=$(shasum -a 256 <\"$1\"); "
	"elif has openssl; then s=$(openssl dgst -sha256 <\"$1\"); "
	"elif has sha256; then s=$(sha256 -q <\"$1\"); "
	"else s=none; fi; "
	"echo \"" SSH_ANSWER "$(wc -c <\"$1\") $s\"";

static const char replace_script[] =
	"if test -e \"$2\" || test -L \"$2\"; then echo \"" SSH_ANSWER "exists\"; "
	"else mv \"$1\" \"$2\" && { sync \"$2\" 2>/dev/null; echo \"" SSH_ANSWER "done\"; }; fi";

static const char remove_script[] = "rm -f \"$1\"; echo \"" SSH_ANSWER "done\"";

struct far {
	struct ssh_client client;
	atomic_bool hurry;
};

struct far_file {
	struct child child;
	char *path; /* as the far side's shell takes it */
};

static bool has_only(const char *text, const char *more)
{
	for (; *text; text++)
		if (!isalnum((unsigned char)*text) && !strchr(more, *text))
			return false;
	return true;
}

/* What ssh takes as a name, and a command that a user's configuration runs with it cannot misread. */
static enum kioku_status check(const struct url *url, struct kioku_error *error)
{
	const char *name = strrchr(url->path, '/');

	name = name ? name + 1 : url->path;
	if (!*url->host || *url->host == '-' || !has_only(url->host, "._:%-"))
		return error_set(error, KIOKU_ERROR_ARGUMENT, "\"%s\" is no host for ssh",
				 url->host);
	if (*url->user == '-' || !has_only(url->user, "._@+\\-"))
		return error_set(error, KIOKU_ERROR_ARGUMENT, "\"%s\" is no user for ssh",
				 url->user);
	if (url->has_port && url->port == 0)
		return error_set(error, KIOKU_ERROR_ARGUMENT, "ssh has no port 0");
	if (*url->fragment || strchr(url->path, '\n'))
		return error_set(error, KIOKU_ERROR_ARGUMENT,
				 "a path for ssh:// has neither \"#\" nor a line feed");
	if (!*name || strcmp(url->path, "~") == 0)
		return error_set(error, KIOKU_ERROR_ARGUMENT, "ssh://%s/%s names no file",
				 url->host, url->path);
	return KIOKU_OK;
}

/* "~/x" is in the home, where commands begin; anything else is from the root on. */
static char *far_path(const char *name)
{
	char *path;
	int made = strncmp(name, "~/", 2) == 0 ? asprintf(&path, "./%s", name + 2)
					       : asprintf(&path, "/%s", name);

	return made < 0 ? NULL : path;
}

/* As a message has it. */
static const char *shown(const char *path)
{
	return strncmp(path, "./", 2) == 0 ? path + 2 : path;
}

/* Anything but "ready". */
static enum kioku_status refuse(const struct destination *destination, const char *path,
				const char *answer, struct kioku_error *error)
{
	const char *host = destination->label;

	if (strncmp(answer, "exists ", 7) == 0)
		path = answer + 7;
	if (strncmp(answer, "exists", 6) == 0)
		return error_set(error, KIOKU_ERROR_ARGUMENT, "%s exists already on %s",
				 shown(path), host);
	if (strcmp(answer, "absent") == 0)
		return error_set(error, KIOKU_ERROR_ARGUMENT, "there is no folder for %s on %s",
				 shown(path), host);
	if (strcmp(answer, "readonly") == 0)
		return error_set(error, KIOKU_ERROR_ARGUMENT,
				 "the folder of %s on %s cannot be written to", shown(path), host);
	return error_set(error, KIOKU_ERROR_OS, "%s answers with \"%s\"", host, answer);
}

static enum kioku_status open_far(struct destination *destination, const struct url *url,
				  const struct destination_options *options,
				  struct kioku_error *error)
{
	struct ssh_patience patience = { options->goes_on, options->user };
	AUTO_FREE char *path = far_path(url->path);
	struct far *far = calloc(1, sizeof(*far));
	char answer[SSH_ANSWER_SIZE];

	destination->label = strdup(url->host);
	if (!far || !path || !destination->label) {
		free(far);
		return error_no_memory(error);
	}
	far->client.shared = CHILD_NONE;
	destination->state = far;
	TRY(check(url, error));
	enum kioku_status status = ssh_client_open(&far->client, url->user, url->host, url->port,
						   probe_script, path, &patience, answer, error);
	if (status != KIOKU_OK && status != KIOKU_ERROR_STOPPED)
		error_prefix(error, "cannot reach %s", url->host);
	TRY(status);
	if (strcmp(answer, "ready") != 0)
		return refuse(destination, path, answer, error);
	if (!far->client.folder[0])
		diagnose(destination->diagnostics, KIOKU_NOTE,
			 "this ssh client makes a connection for each file: it may ask for a "
			 "password each time");
	return KIOKU_OK;
}

static void close_far(struct destination *destination)
{
	struct far *far = destination->state;

	if (far)
		ssh_client_close(&far->client);
	free(far);
}

static void hurry(struct destination *destination)
{
	struct far *far = destination->state;

	atomic_store(&far->hurry, true);
}

static enum kioku_status create(struct destination_file *file, struct kioku_error *error)
{
	struct far *far = file->destination->state;
	struct far_file *state = calloc(1, sizeof(*state));
	char answer[SSH_ANSWER_SIZE];

	file->state = state;
	if (!state)
		return error_no_memory(error);
	state->child = CHILD_NONE;
	state->path = far_path(file->name);
	if (!state->path)
		return error_no_memory(error);
	enum kioku_status status = ssh_start(&far->client, &state->child, CHILD_READS_US,
					     create_script, state->path, NULL, error);
	if (status == KIOKU_OK)
		status = ssh_wait_answer(&state->child, NULL, answer, error);
	if (status != KIOKU_OK) {
		error_prefix(error, "cannot create %s on %s", shown(state->path),
			     file->destination->label);
		return status;
	}
	return strcmp(answer, "ready") == 0 ? KIOKU_OK
					    : refuse(file->destination, state->path, answer, error);
}

static enum kioku_status cannot_write(const struct destination_file *file, enum kioku_status status,
				      struct kioku_error *error)
{
	const struct far_file *state = file->state;

	error_prefix(error, "cannot write to %s on %s", shown(state->path),
		     file->destination->label);
	return status;
}

static enum kioku_status give_up(const struct destination_file *file, struct kioku_error *error)
{
	struct far_file *state = file->state;

	child_end(&state->child, 0);
	error_set(error, KIOKU_ERROR_OS, "nothing moves any more");
	return cannot_write(file, KIOKU_ERROR_OS, error);
}

static enum kioku_status file_write(struct destination_file *file, uint64_t offset,
				    const void *data, size_t size, size_t *written,
				    struct kioku_error *error)
{
	struct far *far = file->destination->state;
	struct far_file *state = file->state;
	int waited = 0; /* milliseconds */

	*written = 0;
	while (*written < size) {
		ssize_t part = child_write(&state->child, (const char *)data + *written,
					   size - *written, SSH_ASK_EVERY);
		if (part < 0)
			return cannot_write(file, ssh_failed(&state->child, error), error);
		waited = part == 0 && atomic_load(&far->hurry) ? waited + SSH_ASK_EVERY : 0;
		if (waited > HURRY)
			return give_up(file, error);
		*written += (size_t)part;
		file->size += (uint64_t)part;
	}
	return KIOKU_OK;
}

/* What was written is in pipes and on its way: the command's end says that it has arrived. */
static enum kioku_status wait_arrival(struct destination_file *file, bool (*progress)(void *user),
				      void *user, struct kioku_error *error)
{
	struct far_file *state = file->state;
	char ignored[256];
	ssize_t part;

	child_close_input(&state->child);
	while ((part = child_read(&state->child, ignored, sizeof(ignored), SSH_ASK_EVERY)) != 0)
		if (progress)
			progress(user); /* an image that is to end here must arrive, too */
	if (child_wait(&state->child, END_LIMIT) && state->child.status == 0)
		return KIOKU_OK;
	return cannot_write(file, ssh_failed(&state->child, error), error);
}

/* The first word of 64 hexadecimal digits, whatever is around it; "" if there is none. */
static void find_digest(const char *text, char out[DIGEST_HEX_SIZE])
{
	static const char digits[] = "0123456789abcdef";

	out[0] = '\0';
	while (*text) {
		size_t size = strspn(text, digits);
		if (size == DIGEST_HEX_SIZE - 1) {
			memcpy(out, text, size);
			out[size] = '\0';
			return;
		}
		text += size > 0 ? size : 1;
	}
}

static enum kioku_status judge(const struct destination_file *file, const uint8_t *sha256,
			       const char *answer, struct kioku_error *error)
{
	const struct destination *destination = file->destination;
	const char *path = shown(((const struct far_file *)file->state)->path);
	char digest[DIGEST_HEX_SIZE], sent[DIGEST_HEX_SIZE], *end;

	uint64_t size = strtoull(answer, &end, 10);
	if (end == answer)
		return error_set(error, KIOKU_ERROR_OS, "%s on %s cannot be read back", path,
				 destination->label);
	if (size != file->size)
		return error_set(error, KIOKU_ERROR_CORRUPT,
				 "%s has %" PRIu64 " bytes on %s, and not %" PRIu64, path, size,
				 destination->label, file->size);
	if (!sha256)
		return KIOKU_OK;
	if (strcmp(end, " none") == 0) {
		diagnose(destination->diagnostics, KIOKU_WARNING,
			 "%s has no program for SHA-256: only the size of %s was compared there",
			 destination->label, path);
		return KIOKU_OK;
	}
	find_digest(end, digest);
	digest_hex(sha256, DIGEST_SIZE, sent);
	if (strcasecmp(digest, sent) != 0)
		return error_set(error, KIOKU_ERROR_CORRUPT,
				 "%s on %s is not what was sent: its SHA-256 is %s, and not %s",
				 path, destination->label, digest[0] ? digest : "not known", sent);
	return KIOKU_OK;
}

static enum kioku_status file_finish(struct destination_file *file, const uint8_t *sha256,
				     struct file_digests *digests, bool (*progress)(void *user),
				     void *user, struct kioku_error *error)
{
	struct far *far = file->destination->state;
	struct far_file *state = file->state;
	struct ssh_patience patience = { progress, user };
	char answer[SSH_ANSWER_SIZE];

	TRY(wait_arrival(file, progress, user, error));
	/* What ends early because it is to stop is compared, too; only a comparison that is to stop is not. */
	if (progress && !progress(user))
		patience.function = NULL;
	enum kioku_status status = ssh_ask(&far->client, compare_script, state->path,
					   sha256 ? "sha256" : "size", &patience, answer, error);
	if (status != KIOKU_OK) {
		error_prefix(error, "cannot compare %s on %s", shown(state->path),
			     file->destination->label);
		return status;
	}
	return judge(file, sha256, answer, error);
}

static void file_close(struct destination_file *file)
{
	struct far_file *state = file->state;

	if (!state)
		return;
	child_end(&state->child, END_LIMIT);
	free(state->path);
	free(state);
}

static enum kioku_status replace(struct destination *destination, const char *from, const char *to,
				 struct kioku_error *error)
{
	struct far *far = destination->state;
	AUTO_FREE char *old = far_path(from);
	AUTO_FREE char *new = far_path(to);
	char answer[SSH_ANSWER_SIZE];

	if (!old || !new)
		return error_no_memory(error);
	enum kioku_status status =
		ssh_ask(&far->client, replace_script, old, new, NULL, answer, error);
	if (status == KIOKU_OK && strcmp(answer, "done") != 0)
		return refuse(destination, new, answer, error);
	if (status != KIOKU_OK)
		error_prefix(error, "cannot rename %s on %s", shown(old), destination->label);
	return status;
}

static void remove_far(struct destination *destination, const char *name)
{
	struct far *far = destination->state;
	AUTO_FREE char *path = far_path(name);
	struct kioku_error ignored = { 0 };
	char answer[SSH_ANSWER_SIZE];

	if (path &&
	    ssh_ask(&far->client, remove_script, path, NULL, NULL, answer, &ignored) != KIOKU_OK)
		return;
}

const struct destination_driver ssh_destination = {
	.scheme = "ssh",
	.open = open_far,
	.close = close_far,
	.hurry = hurry,
	.create = create,
	.replace = replace,
	.remove = remove_far,
	.file_write = file_write,
	.file_finish = file_finish,
	.file_close = file_close,
};
