/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * TLS 1.3 over a socket that does not block, as in docs/transfer.md: one ALPN name, no tickets, no
 * early data, and a server that is known by the SHA-256 of its public key alone. Nothing here waits,
 * but tls_handshake_within(). A struct tls is used by one thread at a time. Writing to a socket whose
 * other end is gone raises SIGPIPE, which the caller blocks or ignores.
 */
#ifndef TRANSFER_TLS_H
#define TRANSFER_TLS_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

#define TLS_FINGERPRINT_SIZE 32u
#define TLS_RECORD           (16u << 10) /* what is written at once goes out in pieces of this */

struct tls_context; /* may be shared by threads */
struct tls;

/* Of a sender, which accepts a server with this fingerprint and no other. Errors: UNSUPPORTED
 * (OpenSSL cannot), NO_MEMORY. */
enum kioku_status tls_client(const uint8_t fingerprint[TLS_FINGERPRINT_SIZE],
			     struct tls_context **out, struct kioku_error *error);

/* Of a receiver; key and certificate stay the caller's. Errors: as above, ARGUMENT (the certificate
 * is of another key). */
enum kioku_status tls_server(EVP_PKEY *key, X509 *certificate, struct tls_context **out,
			     struct kioku_error *error);
void tls_context_release(struct tls_context *context); /* NULL is allowed */

/* SHA-256 of the DER SubjectPublicKeyInfo. False: OpenSSL failed. */
bool tls_fingerprint(const X509 *certificate, uint8_t out[TLS_FINGERPRINT_SIZE]);

/*
 * A connection, on a connected socket with O_NONBLOCK that stays the caller's. The context must
 * outlive it. Errors: NO_MEMORY.
 */
enum kioku_status tls_open(struct tls_context *context, int descriptor, struct tls **out,
			   struct kioku_error *error);

/* NULL is allowed. Says goodbye if that does not have to wait. */
void tls_close(struct tls *tls);

/*
 * One step of it. OK: *events is 0 when it is done, or else POLLIN or POLLOUT: poll() for that and
 * call again. Errors: OS (the link: reset, ended), REFUSED (the other side is not who it should be,
 * or does not speak this protocol).
 */
enum kioku_status tls_handshake(struct tls *tls, short *events, struct kioku_error *error);

/* All steps of it. Errors: as above, and OS with ETIMEDOUT. */
enum kioku_status tls_handshake_within(struct tls *tls, double seconds, struct kioku_error *error);

/*
 * Some bytes. *events is 0 if *done is not, or else as above; the call is then repeated with the same
 * bytes (perhaps at another place, and more of them). Since some may be held back already, poll()
 * only after tls_read() has said POLLIN. Errors: OS, also when the other side has closed: then
 * os_errno is 0; CORRUPT.
 */
enum kioku_status tls_read(struct tls *tls, void *data, size_t size, size_t *done, short *events,
			   struct kioku_error *error);
enum kioku_status tls_write(struct tls *tls, const void *data, size_t size, size_t *done,
			    short *events, struct kioku_error *error);

DEFINE_CLEANUP(tls, struct tls, tls_close)
#define AUTO_TLS CLEANUP(cleanup_tls)
DEFINE_CLEANUP(tls_context, struct tls_context, tls_context_release)
#define AUTO_TLS_CONTEXT CLEANUP(cleanup_tls_context)

#endif
