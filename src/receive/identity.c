/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "receive/identity.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>

#include "base/cleanup.h"

#define KEY_FILE "key.pem"

enum { KEY_FILE_LIMIT = 4096 };

static void free_bio(BIO **bio)
{
	BIO_free(*bio);
}

#define AUTO_BIO CLEANUP(free_bio)

static EVP_PKEY *read_key(const char *text, size_t size)
{
	AUTO_BIO BIO *bio = BIO_new_mem_buf(text, (int)size);

	return bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;
}

static enum kioku_status load_key(struct identity *identity, const struct state_folder *state,
				  struct kioku_error *error)
{
	AUTO_FREE char *text = NULL;
	size_t size;

	TRY(state_read(state->state, KEY_FILE, KEY_FILE_LIMIT, &text, &size, error));
	identity->key = read_key(text, size);
	OPENSSL_cleanse(text, size);
	if (!identity->key || !EVP_PKEY_is_a(identity->key, "ED25519"))
		return error_set(error, KIOKU_ERROR_CORRUPT,
				 "%s/" STATE_FOLDER "/" KEY_FILE " holds no Ed25519 key",
				 state->path);
	return KIOKU_OK;
}

static enum kioku_status make_key(struct identity *identity, const struct state_folder *state,
				  struct kioku_error *error)
{
	AUTO_BIO BIO *bio = BIO_new(BIO_s_mem());
	char *text;

	identity->key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	if (!identity->key)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "this machine's OpenSSL refuses to make an Ed25519 key");
	if (!bio || PEM_write_bio_PrivateKey(bio, identity->key, NULL, NULL, 0, NULL, NULL) != 1)
		return error_no_memory(error);
	long size = BIO_get_mem_data(bio, &text);
	enum kioku_status status =
		state_write(state->state, KEY_FILE, text, (size_t)size, true, NULL, error);
	OPENSSL_cleanse(text, (size_t)size);
	return status;
}

static bool fill_certificate(X509 *certificate, EVP_PKEY *key)
{
	X509_NAME *name = X509_get_subject_name(certificate);
	uint64_t serial;

	return RAND_bytes((unsigned char *)&serial, sizeof(serial)) == 1 &&
	       X509_set_version(certificate, X509_VERSION_3) == 1 &&
	       ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial >> 1) == 1 &&
	       ASN1_TIME_set_string_X509(X509_getm_notBefore(certificate), "20200101000000Z") ==
		       1 &&
	       ASN1_TIME_set_string_X509(X509_getm_notAfter(certificate), "99991231235959Z") == 1 &&
	       X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"kioku",
					  -1, -1, 0) == 1 &&
	       X509_set_issuer_name(certificate, name) == 1 &&
	       X509_set_pubkey(certificate, key) == 1 && X509_sign(certificate, key, NULL) > 0;
}

enum kioku_status identity_open(struct identity *identity, const struct state_folder *state,
				struct kioku_error *error)
{
	*identity = (struct identity){ 0 };
	ERR_set_mark();
	enum kioku_status status = load_key(identity, state, error);
	if (status == KIOKU_ERROR_NOT_FOUND)
		status = make_key(identity, state, error);
	identity->certificate = status == KIOKU_OK ? X509_new() : NULL;
	if (status == KIOKU_OK &&
	    (!identity->certificate || !fill_certificate(identity->certificate, identity->key)))
		status = error_set(error, KIOKU_ERROR_UNSUPPORTED,
				   "this machine's OpenSSL refuses to make a certificate");
	ERR_pop_to_mark();
	return status;
}

void identity_release(struct identity *identity)
{
	EVP_PKEY_free(identity->key);
	X509_free(identity->certificate);
	*identity = (struct identity){ 0 };
}
