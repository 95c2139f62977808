/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* kioku_verify() as a library's user sees it, and signatures; tests/cli/test_verify.py has the rest. */
#include <fcntl.h>

#include <openssl/evp.h>
#include <openssl/pem.h>

#include <kioku/verify.h>

#include "base/cleanup.h"
#include "capture/signature.h"
#include "format/manifest_format.h"
#include "tap.h"

#define SEGMENTS 4u

static void put(const char *path, const void *data, size_t size)
{
	FILE *file = fopen(path, "w");

	CHECK(file && fwrite(data, 1, size, file) == size && fclose(file) == 0);
}

static void enter_folder(void)
{
	char folder[] = "/tmp/kioku-verify-XXXXXX";

	CHECK(mkdtemp(folder) && chdir(folder) == 0);
}

static void leave_folder(void)
{
	char folder[64];

	CHECK(getcwd(folder, sizeof(folder)));
	CHECK(system("rm -rf ./*") == 0 && rmdir(folder) == 0);
}

/* "image" with zeros and its manifest. */
static void make_image(void)
{
	static uint8_t zeros[SEGMENTS * MANIFEST_SEGMENT_SIZE];
	struct manifest_segment segments[SEGMENTS] = { 0 };
	uint8_t root[MANIFEST_HASH_SIZE];
	char root_text[2 * MANIFEST_HASH_SIZE + 1];
	struct manifest manifest = {
		.complete = true,
		.image_size = sizeof(zeros),
		.segments = segments,
		.segment_count = SEGMENTS,
		.root = root_text,
	};
	AUTO_FREE char *text = NULL;
	size_t size;

	for (size_t i = 0; i < SEGMENTS; i++)
		CHECK(EVP_Digest(zeros, MANIFEST_SEGMENT_SIZE, segments[i].sha256, NULL,
				 EVP_sha256(), NULL) == 1);
	CHECK(manifest_root(segments, SEGMENTS, root));
	for (size_t i = 0; i < sizeof(root); i++)
		sprintf(root_text + 2 * i, "%02x", root[i]);
	CHECK_EQUAL(manifest_encode(&manifest, &text, &size, NULL), KIOKU_OK);
	put("image", zeros, sizeof(zeros));
	put("image.manifest.json", text, size);
}

static void damage_at(uint64_t offset)
{
	AUTO_CLOSE int descriptor = open("image", O_WRONLY);

	CHECK(pwrite(descriptor, "x", 1, (off_t)offset) == 1);
}

struct seen {
	size_t findings, most;
	uint64_t offsets[SEGMENTS], done, total;
};

static bool on_damage(void *user, const struct kioku_damage *damage)
{
	struct seen *seen = user;

	seen->offsets[seen->findings++] = damage->offset;
	return seen->findings < seen->most;
}

static bool on_progress(void *user, uint64_t done, uint64_t total)
{
	struct seen *seen = user;

	CHECK(done >= seen->done && done <= total);
	seen->done = done;
	seen->total = total;
	return seen->most > 0;
}

static enum kioku_status verify(struct seen *seen, struct kioku_verify_result *result,
				struct kioku_error *error)
{
	struct kioku_verify_options options = {
		.size = sizeof(options),
		.damage = on_damage,
		.damage_user = seen,
		.progress = on_progress,
		.progress_user = seen,
	};

	return kioku_verify("image", &options, result, error);
}

static void takes_no_options(void)
{
	struct kioku_verify_options options = { 0 };
	struct kioku_verify_result result;
	struct kioku_error error;

	enter_folder();
	make_image();
	CHECK_EQUAL(kioku_verify("image", NULL, &result, NULL), KIOKU_OK);
	CHECK_EQUAL(result.verdict, KIOKU_INTACT);
	CHECK_EQUAL(result.segments, SEGMENTS);
	CHECK_EQUAL(result.checked, SEGMENTS * MANIFEST_SEGMENT_SIZE);
	CHECK(strcmp(result.proof_path, "image.manifest.json") == 0);
	CHECK_EQUAL(kioku_verify("image", &options, &result, &error), KIOKU_ERROR_ARGUMENT);
	CHECK_SAYS(error.message, "size is not set");
	unlink("image.manifest.json");
	CHECK_EQUAL(kioku_verify("image", NULL, &result, &error), KIOKU_ERROR_NOT_FOUND);
	CHECK_EQUAL(kioku_verify("none", NULL, &result, &error), KIOKU_ERROR_OS);
	leave_folder();
}

static void findings_ascend_and_can_stop(void)
{
	struct kioku_verify_result result;
	struct kioku_error error;
	struct seen all = { .most = 9 }, one = { .most = 1 };

	enter_folder();
	make_image();
	damage_at(0);
	damage_at(3 * MANIFEST_SEGMENT_SIZE + 1);
	CHECK_EQUAL(verify(&all, &result, &error), KIOKU_OK);
	CHECK_EQUAL(result.verdict, KIOKU_DAMAGED);
	CHECK_EQUAL(all.findings, 2);
	CHECK_EQUAL(all.offsets[0], 0);
	CHECK_EQUAL(all.offsets[1], 3 * MANIFEST_SEGMENT_SIZE);
	CHECK_EQUAL(result.damaged, 2);
	CHECK_EQUAL(verify(&one, &result, &error), KIOKU_ERROR_STOPPED);
	CHECK_EQUAL(one.findings, 1);
	leave_folder();
}

static void progress_reaches_the_end_and_can_stop(void)
{
	struct kioku_verify_result result;
	struct kioku_error error;
	struct seen all = { .most = 9 }, none = { 0 };

	enter_folder();
	make_image();
	CHECK_EQUAL(verify(&all, &result, &error), KIOKU_OK);
	CHECK_EQUAL(all.done, all.total);
	CHECK_EQUAL(all.total, SEGMENTS * MANIFEST_SEGMENT_SIZE);
	CHECK_EQUAL(verify(&none, &result, &error), KIOKU_ERROR_STOPPED);
	leave_folder();
}

static void write_key(const char *type)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, type);
	FILE *private = fopen("private.pem", "w"), *public = fopen("public.pem", "w");
	FILE *locked = fopen("locked.pem", "w");

	CHECK(key && private && public && locked);
	CHECK(PEM_write_PrivateKey(private, key, NULL, NULL, 0, NULL, NULL) == 1);
	CHECK(PEM_write_PrivateKey(locked, key, EVP_aes_256_cbc(), NULL, 0, NULL, "word") == 1);
	CHECK(PEM_write_PUBKEY(public, key) == 1);
	fclose(private);
	fclose(public);
	fclose(locked);
	EVP_PKEY_free(key);
}

static void signs_and_checks(void)
{
	static const uint8_t text[] = "a manifest", other[] = "A manifest";
	uint8_t signature[SIGNATURE_SIZE];
	struct bytes whole = { signature, sizeof(signature) }, cut = { signature, 63 };
	struct kioku_error error;
	bool fits;

	enter_folder();
	write_key("ED25519");
	CHECK_EQUAL(signature_make("private.pem", (struct bytes){ text, 10 }, signature, &error),
		    KIOKU_OK);
	CHECK_EQUAL(signature_check("public.pem", (struct bytes){ text, 10 }, whole, &fits, &error),
		    KIOKU_OK);
	CHECK(fits);
	CHECK_EQUAL(signature_check("public.pem", (struct bytes){ other, 10 }, whole, &fits, NULL),
		    KIOKU_OK);
	CHECK(!fits);
	CHECK_EQUAL(signature_check("public.pem", (struct bytes){ text, 10 }, cut, &fits, NULL),
		    KIOKU_OK);
	CHECK(!fits);
	signature[40] ^= 1;
	CHECK_EQUAL(signature_check("public.pem", (struct bytes){ text, 10 }, whole, &fits, NULL),
		    KIOKU_OK);
	CHECK(!fits);
	leave_folder();
}

static void refuses_other_keys(void)
{
	static const struct {
		const char *path, *says;
		enum kioku_status status;
	} cases[] = {
		{ "none.pem", "No such file", KIOKU_ERROR_OS },
		{ "public.pem", "holds no private key", KIOKU_ERROR_ARGUMENT },
		{ "locked.pem", "has a passphrase", KIOKU_ERROR_ARGUMENT },
		{ "private.pem", "Ed25519 is needed", KIOKU_ERROR_ARGUMENT },
	};
	uint8_t signature[SIGNATURE_SIZE];
	struct kioku_error error;

	enter_folder();
	write_key("X25519");
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		CHECK_EQUAL(signature_make(cases[i].path, (struct bytes){ NULL, 0 }, signature,
					   &error),
			    cases[i].status);
		CHECK_SAYS(error.message, cases[i].says);
	}
	leave_folder();
}

TAP_MAIN(TEST(takes_no_options), TEST(findings_ascend_and_can_stop),
	 TEST(progress_reaches_the_end_and_can_stop), TEST(signs_and_checks),
	 TEST(refuses_other_keys))
