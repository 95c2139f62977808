/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Receiving images from many machines at once: the far side of a capture to kioku://. What is said on
 * the wire is in docs/transfer.md.
 */
#ifndef KIOKU_RECEIVE_H
#define KIOKU_RECEIVE_H

#include <kioku/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum kioku_receive_kind {
	KIOKU_RECEIVE_LISTENING, /* address */
	KIOKU_RECEIVE_URL,       /* url: a token may be used from now on */
	KIOKU_RECEIVE_REFUSED,   /* peer, message: a connection that was no transfer's */
	KIOKU_RECEIVE_STARTED,   /* a transfer: host, folder, peer, expected */
	KIOKU_RECEIVE_PROGRESS,  /* a transfer: some times a second while bytes come in */
	KIOKU_RECEIVE_BROKEN,    /* a transfer: the link was lost, message says how */
	KIOKU_RECEIVE_RESUMED,   /* a transfer: peer; received: where it goes on */
	KIOKU_RECEIVE_STORING, /* a transfer: some times a second while it is uploaded; stored, size */
	/* a transfer: all is on the disk; image, sha256, complete, lost. Told again if the run before
	 * ended before the sender knew. */
	KIOKU_RECEIVE_DONE,
	KIOKU_RECEIVE_FAILED,    /* a transfer: message; what came stays on the disk */
	KIOKU_RECEIVE_STORED,    /* a transfer: url: where its files were uploaded to */
	KIOKU_RECEIVE_NOT_STORED /* a transfer: message; it is tried again at the next start */
};

/* Texts are borrowed for the call; "" where the kind has none. */
struct kioku_receive_event {
	enum kioku_receive_kind kind;
	const char *transfer; /* its session in hexadecimal; "" if it is not about one */
	const char *address;  /* that is listened on */
	const char *url;      /* of RECEIVE_URL: holds a secret */
	const char *peer;     /* address of the other side */
	const char *host;     /* what the sender says its machine is called; made printable */
	const char *folder;   /* path */
	const char *image;    /* its file's name */
	const char *sha256;   /* of the image; "" if the sender made no digest to compare */
	const char *message;
	uint64_t received; /* bytes of the files so far */
	uint64_t expected; /* bytes of memory that the sender announced; 0: unknown */
	uint64_t lost;     /* bytes of memory that the sender could not read */
	uint64_t repeated; /* bytes that had to be received twice */
	uint64_t stored;   /* bytes that were uploaded so far, or were there already */
	uint64_t size;     /* of all that is uploaded; 0: not known yet */
	unsigned breaks;   /* how often the link was lost */
	double seconds;    /* since the transfer began */
	bool complete;
	enum kioku_status status; /* of FAILED and NOT_STORED */
};

/* Called from the thread that called kioku_receive(). False: end. Also called, with NULL, some times
 * a second when nothing happens. */
typedef bool kioku_receive_fn(void *user, const struct kioku_receive_event *event);

struct kioku_receive_options {
	size_t size;            /* sizeof(struct kioku_receive_options) */
	const char *listen;     /* "ADDR:PORT", "[ADDR]:PORT", ":PORT"; NULL: all addresses, 7633 */
	const char *advertise;  /* address for the URL; NULL: the listening one, or the machine's */
	const char *folder;     /* where transfers go; NULL: the current one */
	const char *token_file; /* tokens to accept, one a line; is made with one if absent; NULL */
	unsigned tokens;        /* single-use tokens that may be used at any time; 0: 1 */
	bool standing;          /* tokens may be used again and again */
	uint64_t quota;         /* bytes that may be received by one token; 0: no limit */
	unsigned connections;   /* at once; 0: 256 */
	uint64_t count;         /* end after so many transfers are done; 0: never */
	const char *store;      /* https://HOST[:PORT]/BUCKET[/PREFIX] to upload to; NULL: none */
	const char *store_region;      /* NULL: us-east-1 */
	const char *store_credentials; /* file; NULL: AWS_ACCESS_KEY_ID and so on */
	const char *store_ca;          /* certificates to trust, PEM; NULL: the system's */
	kioku_receive_fn *event;       /* must not be NULL */
	void *user;
};

/* What became of transfers. */
struct kioku_receive_result {
	uint64_t done, failed;
	uint64_t unfinished; /* may be resumed after the next start */
	uint64_t incomplete; /* of those done: images that are not whole, or miss pages */
	uint64_t not_stored;
};

/*
 * Receives until event() returns false or count is reached. Keys, tokens and what is needed to
 * go on with broken transfers are kept in FOLDER/.kioku-receive, so that a receiver that is started
 * again with the same folder and address is the same one. One process at a time may use a folder.
 * Errors: OS, ARGUMENT (an address, a folder in use), UNSUPPORTED (a store that this build cannot
 * upload to), NO_MEMORY. *result is filled in even then. SIGPIPE must be ignored by the caller.
 */
KIOKU_PUBLIC KIOKU_CHECK enum kioku_status
kioku_receive(const struct kioku_receive_options *options, struct kioku_receive_result *result,
	      struct kioku_error *error);

#ifdef __cplusplus
}
#endif
#endif
