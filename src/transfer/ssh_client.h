/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Commands on a far machine, by the ssh client of this one. A command is a POSIX shell script with up
 * to two arguments, whatever the user's own shell is; it answers by one line that begins with
 * ANSWER, wherever a shell's start files may print, too.
 */
#ifndef TRANSFER_SSH_CLIENT_H
#define TRANSFER_SSH_CLIENT_H

#include "base/child.h"

/* In a script, which must have neither a single quote nor a line feed. */
#define SSH_ANSWER "kioku-answer: "

enum { SSH_ANSWER_SIZE = 512, SSH_ASK_EVERY = 200 }; /* milliseconds */

struct ssh_client {
	char *user, *host; /* allocated; user: "" if ssh knows best */
	unsigned port;     /* 0: ssh knows best */
	bool is_openssh;   /* with its options */
	char folder[64];   /* on a tmpfs, for the shared connection's socket; "" if there is none */
	struct child shared; /* the command that keeps the shared connection open, or ended */
};

/* Asked some times a second; false: do not wait any longer. function NULL: wait. */
struct ssh_patience {
	bool (*function)(void *user);
	void *user;
};

/*
 * Looks which client there is, and runs a first command, which shows that the far side can be reached.
 * If the script goes on after its answer until its input ends, and the client is OpenSSH's, all further
 * commands share the connection, so that a password is asked for once. user and host must have
 * been checked. ssh_client_close() in any case. Errors: OS, STOPPED, NO_MEMORY.
 */
enum kioku_status ssh_client_open(struct ssh_client *client, const char *user, const char *host,
				  unsigned port, const char *script, const char *argument,
				  const struct ssh_patience *patience, char answer[SSH_ANSWER_SIZE],
				  struct kioku_error *error);
void ssh_client_close(struct ssh_client *client);

/* The functions below may be used by several threads at once. */

/* Starts a command; child_end() in any case. second may be NULL. */
enum kioku_status ssh_start(const struct ssh_client *client, struct child *child,
			    enum child_input input, const char *script, const char *first,
			    const char *second, struct kioku_error *error);

/* Waits for a command's answer: what follows ANSWER. Errors: OS (it ended without one), STOPPED. */
enum kioku_status ssh_wait_answer(struct child *child, const struct ssh_patience *patience,
				  char answer[SSH_ANSWER_SIZE], struct kioku_error *error);

/* Starts a command that reads nothing, takes its answer and waits for its end. */
enum kioku_status ssh_ask(const struct ssh_client *client, const char *script, const char *first,
			  const char *second, const struct ssh_patience *patience,
			  char answer[SSH_ANSWER_SIZE], struct kioku_error *error);

/* Says how a command ended that should not have, once it does; OS. */
enum kioku_status ssh_failed(struct child *child, struct kioku_error *error);

#endif
