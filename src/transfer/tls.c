/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "transfer/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <poll.h>
#if defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

#include "base/thread.h"
#include "format/transfer_format.h"
#include "transfer/key.h"

/* AES-GCM must not encrypt more than 2^24 records with one key (RFC 8446, 5.5): far below that. */
#define KEY_BYTES (64ull << 30)

enum { READ_AHEAD = 64 << 10 }; /* several records for one system call */

static const uint8_t protocol[] = "\7" TRANSFER_ALPN; /* its length in front */

struct tls_context {
	SSL_CTX *ssl;
	uint8_t fingerprint[TLS_FINGERPRINT_SIZE]; /* of a client */
};

struct tls {
	SSL *ssl;
	int descriptor;
	uint64_t written; /* with this key */
};

static enum kioku_status openssl_failed(struct kioku_error *error, const char *what)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	return error_set(error, KIOKU_ERROR_UNSUPPORTED, "OpenSSL cannot %s: %s", what,
			 reason ? reason : "no reason given");
}

/* AES in software would be slow. */
static const char *preferred_ciphers(void)
{
#if defined(__x86_64__) || defined(__i386__)
	bool has_aes = __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul");
#elif defined(__aarch64__)
	bool has_aes = getauxval(AT_HWCAP) & HWCAP_AES;
#else
	bool has_aes = false;
#endif
	return has_aes ? "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256"
		       : "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256";
}

static enum kioku_status make_context(const SSL_METHOD *method, struct tls_context **out,
				      struct kioku_error *error)
{
	AUTO_TLS_CONTEXT struct tls_context *context = calloc(1, sizeof(*context));

	if (!context)
		return error_no_memory(error);
	ERR_clear_error();
	context->ssl = SSL_CTX_new(method);
	SSL_CTX *ssl = context->ssl;
	if (!ssl || !SSL_CTX_set_min_proto_version(ssl, TLS1_3_VERSION) ||
	    !SSL_CTX_set_ciphersuites(ssl, preferred_ciphers()))
		return openssl_failed(error, "prepare TLS 1.3");
	SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION |
					 SSL_OP_CIPHER_SERVER_PREFERENCE |
					 SSL_OP_PRIORITIZE_CHACHA);
	SSL_CTX_set_num_tickets(ssl, 0);
	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
				      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_read_ahead(ssl, 1);
	SSL_CTX_set_default_read_buffer_len(ssl, READ_AHEAD);
	*out = TAKE(context);
	return KIOKU_OK;
}

bool tls_fingerprint(const X509 *certificate, uint8_t out[TLS_FINGERPRINT_SIZE])
{
	unsigned char *encoded = NULL;
	int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &encoded);
	bool done = size > 0 && EVP_Digest(encoded, (size_t)size, out, NULL, EVP_sha256(), NULL);

	OPENSSL_free(encoded);
	return done;
}

/* Takes the place of all that X.509 has to say: names, dates and issuers mean nothing here. */
static int check_fingerprint(X509_STORE_CTX *store, void *argument)
{
	const struct tls_context *context = argument;
	const X509 *certificate = X509_STORE_CTX_get0_cert(store);
	uint8_t found[TLS_FINGERPRINT_SIZE];

	if (certificate && tls_fingerprint(certificate, found) &&
	    secret_equal(found, context->fingerprint, sizeof(found))) {
		X509_STORE_CTX_set_error(store, X509_V_OK);
		return 1;
	}
	X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
	return 0;
}

enum kioku_status tls_client(const uint8_t fingerprint[TLS_FINGERPRINT_SIZE],
			     struct tls_context **out, struct kioku_error *error)
{
	TRY(make_context(TLS_client_method(), out, error));
	struct tls_context *context = *out;
	memcpy(context->fingerprint, fingerprint, sizeof(context->fingerprint));
	SSL_CTX_set_verify(context->ssl, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_cert_verify_callback(context->ssl, check_fingerprint, context);
	/* 0 is success in this one. */
	if (SSL_CTX_set_alpn_protos(context->ssl, protocol, sizeof(protocol) - 1) == 0)
		return KIOKU_OK;
	tls_context_release(TAKE(*out));
	return error_no_memory(error);
}

static int select_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_size,
			   const unsigned char *offered, unsigned offered_size, void *argument)
{
	unsigned char *selected;

	if (SSL_select_next_proto(&selected, out_size, protocol, sizeof(protocol) - 1, offered,
				  offered_size) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = selected;
	return SSL_TLSEXT_ERR_OK;
}

enum kioku_status tls_server(EVP_PKEY *key, X509 *certificate, struct tls_context **out,
			     struct kioku_error *error)
{
	AUTO_TLS_CONTEXT struct tls_context *context = NULL;

	TRY(make_context(TLS_server_method(), &context, error));
	if (!SSL_CTX_use_certificate(context->ssl, certificate) ||
	    !SSL_CTX_use_PrivateKey(context->ssl, key))
		return error_set(error, KIOKU_ERROR_ARGUMENT,
				 "the certificate is not that of the key");
	SSL_CTX_set_alpn_select_cb(context->ssl, select_protocol, NULL);
	*out = TAKE(context);
	return KIOKU_OK;
}

void tls_context_release(struct tls_context *context)
{
	if (!context)
		return;
	SSL_CTX_free(context->ssl);
	free(context);
}

enum kioku_status tls_open(struct tls_context *context, int descriptor, struct tls **out,
			   struct kioku_error *error)
{
	AUTO_TLS struct tls *tls = calloc(1, sizeof(*tls));

	if (!tls)
		return error_no_memory(error);
	tls->descriptor = descriptor;
	tls->ssl = SSL_new(context->ssl);
	if (!tls->ssl || !SSL_set_fd(tls->ssl, descriptor))
		return error_no_memory(error);
	if (SSL_is_server(tls->ssl))
		SSL_set_accept_state(tls->ssl);
	else
		SSL_set_connect_state(tls->ssl);
	*out = TAKE(tls);
	return KIOKU_OK;
}

void tls_close(struct tls *tls)
{
	if (!tls)
		return;
	ERR_clear_error();
	if (tls->ssl && SSL_is_init_finished(tls->ssl))
		SSL_shutdown(tls->ssl);
	SSL_free(tls->ssl);
	ERR_clear_error();
	free(tls);
}

/* Why the other side cannot be talked to at all. */
static enum kioku_status explain_handshake(const struct tls *tls, struct kioku_error *error)
{
	unsigned long code = ERR_peek_last_error();
	const char *reason = ERR_reason_error_string(code);

	if (SSL_get_verify_result(tls->ssl) == X509_V_ERR_APPLICATION_VERIFICATION)
		return error_set(error, KIOKU_ERROR_REFUSED,
				 "the receiver has another key: somebody else may be answering");
	if (SSL_is_server(tls->ssl) && ERR_GET_LIB(code) == ERR_LIB_SSL &&
	    ERR_GET_REASON(code) > SSL_AD_REASON_OFFSET)
		return error_set(error, KIOKU_ERROR_REFUSED,
				 "the sender does not accept this receiver's key (%s)",
				 reason ? reason : "unknown alert");
	return error_set(error, KIOKU_ERROR_REFUSED, "not a kioku %s (%s)",
			 SSL_is_server(tls->ssl) ? "sender" : "receiver",
			 reason ? reason : "no TLS");
}

/* What a call that did not succeed wants, or why it never will. */
static enum kioku_status explain(const struct tls *tls, int result, short *events,
				 struct kioku_error *error)
{
	int saved = errno;

	switch (SSL_get_error(tls->ssl, result)) {
	case SSL_ERROR_WANT_READ: *events = POLLIN; return KIOKU_OK;
	case SSL_ERROR_WANT_WRITE: *events = POLLOUT; return KIOKU_OK;
	case SSL_ERROR_ZERO_RETURN: break;
	case SSL_ERROR_SYSCALL:
		if (saved == 0)
			break;
		errno = saved;
		return error_os(error, "the connection failed");
	default:
		if (ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
			break;
		if (!SSL_is_init_finished(tls->ssl))
			return explain_handshake(tls, error);
		return error_set(error, KIOKU_ERROR_CORRUPT, "TLS failed: %s",
				 ERR_reason_error_string(ERR_peek_last_error()));
	}
	return error_set(error, KIOKU_ERROR_OS, "connection closed by the other side");
}

enum kioku_status tls_handshake(struct tls *tls, short *events, struct kioku_error *error)
{
	const unsigned char *name;
	unsigned size;

	ERR_clear_error();
	errno = 0;
	*events = 0;
	int result = SSL_do_handshake(tls->ssl);
	if (result != 1)
		return explain(tls, result, events, error);
	SSL_get0_alpn_selected(tls->ssl, &name, &size);
	if (size != sizeof(protocol) - 2 || memcmp(name, protocol + 1, size) != 0)
		return error_set(error, KIOKU_ERROR_REFUSED,
				 "not a kioku receiver (TLS without " TRANSFER_ALPN ")");
	return KIOKU_OK;
}

enum kioku_status tls_handshake_within(struct tls *tls, double seconds, struct kioku_error *error)
{
	struct timespec deadline = deadline_after(seconds);
	short events;

	for (;;) {
		TRY(tls_handshake(tls, &events, error));
		if (events == 0)
			return KIOKU_OK;
		struct pollfd waited = { .fd = tls->descriptor, .events = events };
		int left = deadline_milliseconds(deadline);
		if (left == 0) {
			errno = ETIMEDOUT;
			return error_os(error, "no TLS handshake within %.0f s", seconds);
		}
		if (poll(&waited, 1, left) < 0 && errno != EINTR)
			return error_os(error, "cannot wait for a connection");
	}
}

enum kioku_status tls_read(struct tls *tls, void *data, size_t size, size_t *done, short *events,
			   struct kioku_error *error)
{
	ERR_clear_error();
	errno = 0;
	*done = 0;
	*events = 0;
	int result = SSL_read_ex(tls->ssl, data, size, done);
	return result == 1 ? KIOKU_OK : explain(tls, result, events, error);
}

enum kioku_status tls_write(struct tls *tls, const void *data, size_t size, size_t *done,
			    short *events, struct kioku_error *error)
{
	ERR_clear_error();
	errno = 0;
	*done = 0;
	*events = 0;
	int result = SSL_write_ex(tls->ssl, data, size, done);
	if (result != 1)
		return explain(tls, result, events, error);
	tls->written += *done;
	if (tls->written >= KEY_BYTES && SSL_key_update(tls->ssl, SSL_KEY_UPDATE_NOT_REQUESTED))
		tls->written = 0;
	return KIOKU_OK;
}
