/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A receiver's identity, made for a test. */
#ifndef TESTS_UNIT_TEST_PEER_H
#define TESTS_UNIT_TEST_PEER_H

#include <openssl/x509.h>

#include "tap.h"
#include "transfer/tls.h"

struct identity {
	EVP_PKEY *key;
	X509 *certificate;
	uint8_t fingerprint[TLS_FINGERPRINT_SIZE];
};

static inline void make_identity(struct identity *identity)
{
	identity->key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	identity->certificate = X509_new();
	X509 *x = identity->certificate;
	CHECK(identity->key && x);
	X509_set_version(x, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), 0);
	X509_gmtime_adj(X509_getm_notAfter(x), -1); /* dates mean nothing */
	X509_set_pubkey(x, identity->key);
	CHECK(X509_sign(x, identity->key, NULL) > 0);
	CHECK(tls_fingerprint(x, identity->fingerprint));
}

static inline void release_identity(struct identity *identity)
{
	EVP_PKEY_free(identity->key);
	X509_free(identity->certificate);
}

#endif
