/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "transfer/ssh_client.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"

/* milliseconds that a command has to end once it has nothing more to do */
enum { END_LIMIT = 5000, WORD_LIMIT = 40 };

#define SOCKET      "/socket"
#define KNOWN_HOSTS "/known_hosts"

/* The words of one command line. */
struct command {
	const char *words[WORD_LIMIT + 1];
	size_t count;
	char port[12];
	char *control, *known_hosts, *remote; /* allocated */
};

static void command_release(struct command *command)
{
	free(command->control);
	free(command->known_hosts);
	free(command->remote);
}

#define AUTO_COMMAND CLEANUP(command_release)

static void add(struct command *command, const char *word)
{
	if (command->count < WORD_LIMIT)
		command->words[command->count++] = word;
}

static void add_option(struct command *command, const char *option)
{
	add(command, "-o");
	add(command, option);
}

/* What no shell changes anything in: csh and fish understand it, too. */
static void quote(FILE *out, const char *text)
{
	fputs(" '", out);
	for (; *text; text++)
		fputs(*text == '\'' ? "'\\''" : (char[]){ *text, '\0' }, out);
	fputc('\'', out);
}

/* What the user's shell on the far side is given. NULL: no memory. */
static char *remote_command(const char *script, const char *first, const char *second)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	fprintf(out, "exec sh -c '%s' kioku", script);
	quote(out, first);
	if (second)
		quote(out, second);
	return fclose(out) == 0 ? text : NULL;
}

static bool has_socket(const struct ssh_client *client)
{
	char path[sizeof(client->folder) + sizeof(SOCKET)];

	snprintf(path, sizeof(path), "%s%s", client->folder, SOCKET);
	return client->folder[0] && access(path, F_OK) == 0;
}

/*
 * What the user has configured stays, except for what would write to the disk of this machine or let
 * ssh outlive us: the shared connection is ours, and keys of hosts that were unknown are kept beside it.
 */
static bool add_openssh_options(struct command *command, const struct ssh_client *client,
				bool shares)
{
	bool has_folder = client->folder[0];

	if (asprintf(&command->control, "ControlPath=%s%s", has_folder ? client->folder : "none",
		     has_folder ? SOCKET : "") < 0)
		command->control = NULL;
	if (asprintf(&command->known_hosts,
		     "UserKnownHostsFile=%s%s ~/.ssh/known_hosts ~/.ssh/known_hosts2",
		     has_folder ? client->folder : "/dev/null", has_folder ? KNOWN_HOSTS : "") < 0)
		command->known_hosts = NULL;
	add(command, "-Tax");
	add_option(command, "ServerAliveInterval=15");
	add_option(command, "ServerAliveCountMax=4");
	add_option(command, "ConnectTimeout=30");
	add_option(command, "ClearAllForwardings=yes");
	add_option(command, "ControlPersist=no");
	add_option(command, shares && has_folder ? "ControlMaster=yes" : "ControlMaster=no");
	/* Once the connection is lost, nobody may be there any more to be asked for a password. */
	if (!shares && has_folder && !has_socket(client))
		add_option(command, "BatchMode=yes");
	add_option(command, command->control);
	add_option(command, command->known_hosts);
	return command->control && command->known_hosts;
}

static enum kioku_status make_command(struct command *command, const struct ssh_client *client,
				      bool shares, const char *script, const char *first,
				      const char *second, struct kioku_error *error)
{
	bool made = true;

	add(command, "ssh");
	if (client->is_openssh)
		made = add_openssh_options(command, client, shares);
	if (client->port > 0) {
		snprintf(command->port, sizeof(command->port), "%u", client->port);
		add(command, "-p");
		add(command, command->port);
	}
	if (*client->user) {
		add(command, "-l");
		add(command, client->user);
	}
	if (client->is_openssh)
		add(command, "--"); /* others do not know it; no host begins with a dash */
	add(command, client->host);
	command->remote = remote_command(script, first, second);
	add(command, command->remote);
	return made && command->remote ? KIOKU_OK : error_no_memory(error);
}

static enum kioku_status start(const struct ssh_client *client, struct child *child, bool shares,
			       enum child_input input, const char *script, const char *first,
			       const char *second, struct kioku_error *error)
{
	AUTO_COMMAND struct command command = { 0 };

	*child = CHILD_NONE;
	TRY(make_command(&command, client, shares, script, first, second, error));
	return child_start(child, command.words, &(struct child_way){ .input = input }, error);
}

enum kioku_status ssh_start(const struct ssh_client *client, struct child *child,
			    enum child_input input, const char *script, const char *first,
			    const char *second, struct kioku_error *error)
{
	return start(client, child, false, input, script, first, second, error);
}

enum kioku_status ssh_failed(struct child *child, struct kioku_error *error)
{
	enum { SSH_ITSELF = 255 };

	if (!child_wait(child, END_LIMIT))
		return error_set(error, KIOKU_ERROR_OS, "ssh takes no more, and does not end");
	if (WIFSIGNALED(child->status))
		return error_set(error, KIOKU_ERROR_OS, "ssh was ended by signal %d",
				 WTERMSIG(child->status));
	return error_set(error, KIOKU_ERROR_OS, "%s ended with status %d",
			 WEXITSTATUS(child->status) == SSH_ITSELF ? "ssh" : "the command there",
			 WEXITSTATUS(child->status));
}

/* The rest of a whole line after ANSWER, made printable. */
static bool find_answer(char *text, char answer[SSH_ANSWER_SIZE])
{
	char *begin = strstr(text, SSH_ANSWER);
	char *end = begin ? strchr(begin, '\n') : NULL;

	if (!end)
		return false;
	*end = '\0';
	snprintf(answer, SSH_ANSWER_SIZE, "%s", begin + strlen(SSH_ANSWER));
	for (char *c = answer; *c; c++)
		if ((unsigned char)*c < ' ' || (unsigned char)*c > '~')
			*c = '?';
	return true;
}

enum kioku_status ssh_wait_answer(struct child *child, const struct ssh_patience *patience,
				  char answer[SSH_ANSWER_SIZE], struct kioku_error *error)
{
	char text[8192];
	size_t used = 0;

	for (;;) {
		ssize_t part =
			child_read(child, text + used, sizeof(text) - 1 - used, SSH_ASK_EVERY);
		if (part == 0)
			return ssh_failed(child, error);
		for (ssize_t i = 0; i < part; i++) /* a NUL would end the search */
			text[used + (size_t)i] = text[used + (size_t)i] ?: ' ';
		used += part > 0 ? (size_t)part : 0;
		text[used] = '\0';
		if (find_answer(text, answer))
			return KIOKU_OK;
		if (used > sizeof(text) / 2) {
			used -= sizeof(text) / 4;
			memmove(text, text + sizeof(text) / 4, used);
		}
		if (patience && patience->function && !patience->function(patience->user))
			return error_set(error, KIOKU_ERROR_STOPPED, "stopped");
	}
}

enum kioku_status ssh_ask(const struct ssh_client *client, const char *script, const char *first,
			  const char *second, const struct ssh_patience *patience,
			  char answer[SSH_ANSWER_SIZE], struct kioku_error *error)
{
	struct child child = CHILD_NONE;
	enum kioku_status status =
		ssh_start(client, &child, CHILD_READS_NOTHING, script, first, second, error);

	if (status == KIOKU_OK)
		status = ssh_wait_answer(&child, patience, answer, error);
	child_end(&child, status == KIOKU_OK ? END_LIMIT : 0);
	return status;
}

/* --- the shared connection */

/* Only "ssh -V" tells what an ssh is. */
static enum kioku_status find_kind(struct ssh_client *client, struct kioku_error *error)
{
	static const char *const words[] = { "ssh", "-V", NULL };
	struct child child = CHILD_NONE;
	char text[256] = "";
	size_t used = 0;

	const struct child_way way = { .errors = CHILD_ERRORS_ARE_OUTPUT };

	enum kioku_status status = child_start(&child, words, &way, error);
	for (ssize_t part = 1; status == KIOKU_OK && part > 0 && used < sizeof(text) - 1;) {
		part = child_read(&child, text + used, sizeof(text) - 1 - used, END_LIMIT);
		used += part > 0 ? (size_t)part : 0;
	}
	child_end(&child, END_LIMIT);
	client->is_openssh = strstr(text, "OpenSSH") != NULL;
	return status;
}

static bool is_in_memory(const char *folder)
{
	struct statfs status;

	return statfs(folder, &status) == 0 &&
	       (status.f_type == TMPFS_MAGIC || status.f_type == RAMFS_MAGIC);
}

/* Nothing is written to a disk of this machine. "" if there is no place. */
static void make_folder(struct ssh_client *client)
{
	static const char *const places[] = { "/run", "/dev/shm", "/tmp" };
	char own[32];

	snprintf(own, sizeof(own), "/run/user/%u", (unsigned)geteuid());
	for (size_t i = 0; i <= sizeof(places) / sizeof(*places); i++) {
		const char *place = i == 0 ? own : places[i - 1];
		snprintf(client->folder, sizeof(client->folder), "%s/kioku-XXXXXX", place);
		if (is_in_memory(place) && mkdtemp(client->folder))
			return;
	}
	client->folder[0] = '\0';
}

static void remove_folder(struct ssh_client *client)
{
	static const char *const names[] = { SOCKET, KNOWN_HOSTS, KNOWN_HOSTS ".old" };
	char path[sizeof(client->folder) + sizeof(KNOWN_HOSTS ".old")];

	if (!client->folder[0])
		return;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		snprintf(path, sizeof(path), "%s%s", client->folder, names[i]);
		unlink(path);
	}
	rmdir(client->folder);
	client->folder[0] = '\0';
}

enum kioku_status ssh_client_open(struct ssh_client *client, const char *user, const char *host,
				  unsigned port, const char *script, const char *argument,
				  const struct ssh_patience *patience, char answer[SSH_ANSWER_SIZE],
				  struct kioku_error *error)
{
	*client = (struct ssh_client){ .port = port, .shared = CHILD_NONE };
	client->user = strdup(user);
	client->host = strdup(host);
	if (!client->user || !client->host)
		return error_no_memory(error);
	TRY(find_kind(client, error));
	if (client->is_openssh)
		make_folder(client);
	TRY(start(client, &client->shared, true, CHILD_READS_US, script, argument, NULL, error));
	enum kioku_status status = ssh_wait_answer(&client->shared, patience, answer, error);
	if (status != KIOKU_OK || !has_socket(client)) {
		child_end(&client->shared, status == KIOKU_OK ? END_LIMIT : 0);
		remove_folder(client);
	}
	return status;
}

void ssh_client_close(struct ssh_client *client)
{
	child_end(&client->shared, END_LIMIT);
	remove_folder(client);
	free(client->user);
	free(client->host);
}
