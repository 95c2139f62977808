/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "capture/signature.h"

static void close_file(FILE **file)
{
	if (*file)
		fclose(*file);
}

static void free_key(EVP_PKEY **key)
{
	EVP_PKEY_free(*key);
}

static void free_context(EVP_MD_CTX **context)
{
	EVP_MD_CTX_free(*context);
}

#define AUTO_FILE    CLEANUP(close_file)
#define AUTO_KEY     CLEANUP(free_key)
#define AUTO_CONTEXT CLEANUP(free_context)

/* Asks nobody: a capture without a person at the terminal would hang. */
static int refuse_passphrase(char *buffer, int size, int writing, void *asked)
{
	*(bool *)asked = true;
	return -1;
}

static enum kioku_status load_key(const char *path, bool is_private, EVP_PKEY **out,
				  struct kioku_error *error)
{
	AUTO_FILE FILE *file = fopen(path, "re");
	const char *kind = is_private ? "private" : "public";
	bool asked = false;

	if (!file)
		return error_os(error, "cannot open the key %s", path);
	ERR_set_mark(); /* what OpenSSL notes down stays between us and it */
	AUTO_KEY EVP_PKEY *key =
		is_private ? PEM_read_PrivateKey(file, NULL, refuse_passphrase, &asked)
			   : PEM_read_PUBKEY(file, NULL, refuse_passphrase, &asked);
	ERR_pop_to_mark();
	if (asked)
		return error_set(error, KIOKU_ERROR_ARGUMENT,
				 "the key %s has a passphrase; kioku takes keys without one only",
				 path);
	if (!key)
		return error_set(error, KIOKU_ERROR_ARGUMENT, "%s holds no %s key in PEM", path,
				 kind);
	if (!EVP_PKEY_is_a(key, "ED25519"))
		return error_set(error, KIOKU_ERROR_ARGUMENT,
				 "the key %s is of the type %s, and Ed25519 is needed", path,
				 EVP_PKEY_get0_type_name(key));
	*out = TAKE(key);
	return KIOKU_OK;
}

enum kioku_status signature_make(const char *key_path, struct bytes text,
				 uint8_t out[SIGNATURE_SIZE], struct kioku_error *error)
{
	AUTO_KEY EVP_PKEY *key = NULL;
	AUTO_CONTEXT EVP_MD_CTX *context = EVP_MD_CTX_new();
	size_t size = SIGNATURE_SIZE;

	TRY(load_key(key_path, true, &key, error));
	if (!context || EVP_DigestSignInit(context, NULL, NULL, NULL, key) != 1 ||
	    EVP_DigestSign(context, out, &size, text.data, text.size) != 1 ||
	    size != SIGNATURE_SIZE)
		return error_no_memory(error);
	return KIOKU_OK;
}

enum kioku_status signature_check(const char *key_path, struct bytes text, struct bytes signature,
				  bool *fits, struct kioku_error *error)
{
	AUTO_KEY EVP_PKEY *key = NULL;
	AUTO_CONTEXT EVP_MD_CTX *context = EVP_MD_CTX_new();

	*fits = false;
	TRY(load_key(key_path, false, &key, error));
	if (!context || EVP_DigestVerifyInit(context, NULL, NULL, NULL, key) != 1)
		return error_no_memory(error);
	ERR_set_mark();
	*fits = signature.size == SIGNATURE_SIZE &&
		EVP_DigestVerify(context, signature.data, signature.size, text.data, text.size) ==
			1;
	ERR_pop_to_mark();
	return KIOKU_OK;
}
