/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "source/qmp_client.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/socket.h"
#include "base/thread.h"

#define ANSWER_WITHIN 60.0 /* seconds; QEMU may be busy with the machine */
#define LINE_LIMIT    (16u << 20)
#define DEPTH_LIMIT   32
#define PART          65536u
#define WORDS_LIMIT   200 /* bytes of what QEMU says of an error */

struct qmp_client {
	int descriptor;
	int64_t id; /* of the last command */
	struct json_tokener *tokener;
	char *buffer; /* what came, and is not a whole line yet */
	size_t size, capacity;
	size_t used; /* of the buffer: the line that was looked at last */
	bool is_broken;
};

static void put_json(struct json_object **object)
{
	json_object_put(*object);
}

#define AUTO_JSON CLEANUP(put_json)

/* --- lines */

static enum kioku_status late(struct kioku_error *error)
{
	return error_set(error, KIOKU_ERROR_LIMIT, "no answer in time");
}

static enum kioku_status wait_for(struct qmp_client *client, short events, double deadline,
				  struct kioku_error *error)
{
	double left = deadline - seconds_now();

	return left <= 0 ? late(error)
			 : socket_wait_for(client->descriptor, events, left, NULL, error);
}

static enum kioku_status make_room(struct qmp_client *client, struct kioku_error *error)
{
	if (client->capacity - client->size >= PART)
		return KIOKU_OK;
	if (client->size >= LINE_LIMIT)
		return error_set(error, KIOKU_ERROR_CORRUPT, "an answer has no end");
	size_t capacity = client->capacity ? 2 * client->capacity : 2 * PART;
	char *more = realloc(client->buffer, capacity);
	if (!more)
		return error_no_memory(error);
	client->buffer = more;
	client->capacity = capacity;
	return KIOKU_OK;
}

static enum kioku_status receive(struct qmp_client *client, double deadline,
				 struct kioku_error *error)
{
	TRY(make_room(client, error));
	TRY(wait_for(client, POLLIN, deadline, error));
	ssize_t got = recv(client->descriptor, client->buffer + client->size, PART, MSG_DONTWAIT);
	if (got < 0 && (errno == EINTR || errno == EAGAIN))
		return KIOKU_OK;
	if (got < 0)
		return error_os(error, "cannot read an answer");
	if (got == 0)
		return error_set(error, KIOKU_ERROR_CORRUPT, "QEMU has closed the connection");
	client->size += (size_t)got;
	return KIOKU_OK;
}

/* The next line, good until the next call. */
static enum kioku_status take_line(struct qmp_client *client, double deadline, const char **line,
				   size_t *size, struct kioku_error *error)
{
	size_t looked_at = 0;
	const char *end = NULL;

	client->size -= client->used;
	if (client->size > 0)
		memmove(client->buffer, client->buffer + client->used, client->size);
	client->used = 0;
	for (;;) {
		if (client->size > looked_at)
			end = memchr(client->buffer + looked_at, '\n', client->size - looked_at);
		if (end)
			break;
		looked_at = client->size;
		TRY(receive(client, deadline, error));
	}
	*line = client->buffer;
	*size = (size_t)(end - client->buffer);
	client->used = *size + 1;
	return KIOKU_OK;
}

/* The next object; empty lines are none. */
static enum kioku_status take_object(struct qmp_client *client, double deadline,
				     struct json_object **out, struct kioku_error *error)
{
	const char *line;
	size_t size;

	do
		TRY(take_line(client, deadline, &line, &size, error));
	while (size == 0 || (size == 1 && *line == '\r'));
	json_tokener_reset(client->tokener);
	*out = json_tokener_parse_ex(client->tokener, line, (int)size);
	if (json_object_is_type(*out, json_type_object))
		return KIOKU_OK;
	json_object_put(TAKE(*out));
	return error_set(error, KIOKU_ERROR_CORRUPT,
			 "what answers speaks no QMP (mode=control of -mon, or -qmp)");
}

static enum kioku_status send_text(struct qmp_client *client, const char *text, int descriptor,
				   double deadline, struct kioku_error *error)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	size_t size = strlen(text), done = 0;

	while (done < size) {
		struct iovec part = { (void *)(text + done), size - done };
		struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
		if (descriptor >= 0 && done == 0) {
			message.msg_control = &control;
			message.msg_controllen = sizeof(control);
			control.header = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)),
							   .cmsg_level = SOL_SOCKET,
							   .cmsg_type = SCM_RIGHTS };
			memcpy(CMSG_DATA(&control.header), &descriptor, sizeof(descriptor));
		}
		ssize_t sent = sendmsg(client->descriptor, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent > 0)
			done += (size_t)sent;
		else if (errno == EAGAIN)
			TRY(wait_for(client, POLLOUT, deadline, error));
		else if (errno != EINTR)
			return error_os(error, "cannot send a command");
	}
	return KIOKU_OK;
}

/* --- commands */

/* QEMU's own words, fit for a message. */
static enum kioku_status refused(struct json_object *answer, struct kioku_error *error)
{
	struct json_object *failure, *description;
	char words[WORDS_LIMIT + 1] = "it does not say why";

	if (json_object_object_get_ex(answer, "error", &failure) &&
	    json_object_object_get_ex(failure, "desc", &description) &&
	    json_object_is_type(description, json_type_string))
		snprintf(words, sizeof(words), "%s", json_object_get_string(description));
	for (char *c = words; *c; c++)
		*c = (unsigned char)*c < ' ' || *c == 0x7f ? '?' : *c;
	return error_set(error, KIOKU_ERROR_UNSUPPORTED, "QEMU refuses: %s", words);
}

/* Whether an object answers the last command; QEMU leaves the id out where it could not read it. */
static bool is_answer(const struct qmp_client *client, struct json_object *object)
{
	struct json_object *id;

	if (!json_object_object_get_ex(object, "return", NULL) &&
	    !json_object_object_get_ex(object, "error", NULL))
		return false;
	return !json_object_object_get_ex(object, "id", &id) ||
	       json_object_get_int64(id) == client->id;
}

static enum kioku_status run(struct qmp_client *client, const char *text, int descriptor,
			     struct json_object **result, struct kioku_error *error)
{
	double deadline = seconds_now() + ANSWER_WITHIN;
	struct json_object *value;

	TRY(send_text(client, text, descriptor, deadline, error));
	for (;;) {
		AUTO_JSON struct json_object *object = NULL;
		TRY(take_object(client, deadline, &object, error));
		/* Events without end are no answer. */
		if (!is_answer(client, object) && seconds_now() > deadline)
			return late(error);
		if (!is_answer(client, object))
			continue;
		if (!json_object_object_get_ex(object, "return", &value))
			return refused(object, error);
		if (result)
			*result = json_object_get(value);
		return KIOKU_OK;
	}
}

enum kioku_status qmp_client_run(struct qmp_client *client, const char *command,
				 struct json_object *arguments, int descriptor,
				 struct json_object **result, struct kioku_error *error)
{
	AUTO_JSON struct json_object *object = json_object_new_object();
	AUTO_FREE char *line = NULL;

	if (result)
		*result = NULL;
	json_object_object_add(object, "execute", json_object_new_string(command));
	json_object_object_add(object, "id", json_object_new_int64(++client->id));
	if (arguments)
		json_object_object_add(object, "arguments", arguments);
	if (asprintf(&line, "%s\n",
		     json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN)) < 0)
		return error_no_memory(error);
	if (client->is_broken)
		return error_set(error, KIOKU_ERROR_CORRUPT, "the connection to QEMU is broken");
	enum kioku_status status = run(client, line, descriptor, result, error);
	/* After anything but QEMU's own refusal, nobody knows what will be answered next. */
	client->is_broken = status != KIOKU_OK && status != KIOKU_ERROR_UNSUPPORTED;
	if (status != KIOKU_OK)
		error_prefix(error, "%s", command);
	return status;
}

enum kioku_status qmp_client_monitor(struct qmp_client *client, const char *command, char **answer,
				     struct kioku_error *error)
{
	struct json_object *arguments = json_object_new_object();
	AUTO_JSON struct json_object *result = NULL;

	*answer = NULL;
	json_object_object_add(arguments, "command-line", json_object_new_string(command));
	TRY(qmp_client_run(client, "human-monitor-command", arguments, -1, &result, error));
	const char *text = json_object_is_type(result, json_type_string)
				   ? json_object_get_string(result)
				   : NULL;
	if (!text)
		return error_set(error, KIOKU_ERROR_CORRUPT, "%s: the answer is no text", command);
	*answer = strdup(text);
	return *answer ? KIOKU_OK : error_no_memory(error);
}

/* --- opening and closing */

/* Through /proc, because a socket's path may be longer than a socket's address. */
static enum kioku_status connect_to(const char *path, int *out, struct kioku_error *error)
{
	AUTO_CLOSE int place = open(path, O_PATH | O_CLOEXEC);
	AUTO_CLOSE int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct stat status;

	if (place < 0)
		return error_os(error, "open");
	if (descriptor < 0 || fstat(place, &status) != 0)
		return error_os(error, "cannot make a socket");
	if (!S_ISSOCK(status.st_mode))
		return error_set(error, KIOKU_ERROR_ARGUMENT,
				 "it is no socket: qemu: takes that of QEMU's -qmp option");
	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d", place);
	if (connect(descriptor, (struct sockaddr *)&address, sizeof(address)) != 0)
		return errno == EAGAIN ? error_set(error, KIOKU_ERROR_LIMIT,
						   "others wait for this socket already")
				       : error_os(error, "cannot connect");
	*out = descriptor;
	descriptor = -1;
	return KIOKU_OK;
}

static enum kioku_status greet(struct qmp_client *client, double timeout, struct kioku_error *error)
{
	AUTO_JSON struct json_object *greeting = NULL;
	enum kioku_status status = take_object(client, seconds_now() + timeout, &greeting, error);

	if (status == KIOKU_ERROR_LIMIT)
		return error_set(error, KIOKU_ERROR_LIMIT,
				 "no greeting: it serves somebody else, and only one at a time, or "
				 "is no QMP socket");
	TRY(status);
	if (!json_object_object_get_ex(greeting, "QMP", NULL))
		return error_set(error, KIOKU_ERROR_CORRUPT, "what answers speaks no QMP");
	return qmp_client_run(client, "qmp_capabilities", NULL, -1, NULL, error);
}

enum kioku_status qmp_client_open(const char *path, double timeout, struct qmp_client **out,
				  struct kioku_error *error)
{
	CLEANUP(cleanup_qmp_client) struct qmp_client *client = calloc(1, sizeof(*client));

	*out = NULL;
	if (!client)
		return error_no_memory(error);
	client->descriptor = -1;
	client->tokener = json_tokener_new_ex(DEPTH_LIMIT);
	if (!client->tokener)
		return error_no_memory(error);
	TRY(connect_to(path, &client->descriptor, error));
	TRY(greet(client, timeout, error));
	*out = TAKE(client);
	return KIOKU_OK;
}

void qmp_client_close(struct qmp_client *client)
{
	if (!client)
		return;
	cleanup_close(&client->descriptor);
	if (client->tokener)
		json_tokener_free(client->tokener);
	free(client->buffer);
	free(client);
}
