/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <xxhash.h>

#include "kernel/crosscheck.h"
#include "kernel/profile.h"

#define PROFILE_SUFFIX ".kioku-profile"

static void close_folder(DIR **folder)
{
	if (*folder)
		closedir(*folder);
}

static void free_digest(XXH3_state_t **state)
{
	XXH3_freeState(*state);
}

static bool digest_parts(const struct bytes *parts, size_t count, uint8_t out[PROFILE_DIGEST_SIZE])
{
	CLEANUP(free_digest) XXH3_state_t *state = XXH3_createState();
	XXH128_canonical_t canonical;

	_Static_assert(sizeof(canonical) == PROFILE_DIGEST_SIZE,
		       "the form that the header has room for");
	if (!state || XXH3_128bits_reset(state) != XXH_OK)
		return false;
	for (size_t i = 0; i < count; i++)
		if (XXH3_128bits_update(state, parts[i].data, parts[i].size) != XXH_OK)
			return false;
	XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state));
	memcpy(out, &canonical, sizeof(canonical));
	return true;
}

void profile_close(struct profile *profile)
{
	if (!profile)
		return;
	if (profile->file.data)
		munmap((void *)profile->file.data, profile->file.size);
	free(profile);
}

/* Maps the file and decodes its header; says nothing about the rest. */
static enum kioku_status map_profile(const char *path, struct profile **out,
				     struct kioku_error *error)
{
	AUTO_CLOSE int descriptor = open(path, O_RDONLY | O_CLOEXEC);
	AUTO_PROFILE struct profile *profile = calloc(1, sizeof(*profile));
	struct stat status;

	if (!profile)
		return error_no_memory(error);
	if (descriptor < 0 || fstat(descriptor, &status) != 0)
		return error_os(error, "cannot open the profile %s", path);
	if (!S_ISREG(status.st_mode) || status.st_size < PROFILE_HEADER_SIZE)
		return error_set(error, KIOKU_ERROR_REFUSED, "%s is not a kioku profile", path);
	/* A private copy: what was checked is what will be used. */
	void *data = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, descriptor, 0);
	if (data == MAP_FAILED)
		return error_os(error, "cannot map the profile %s", path);
	profile->file = (struct bytes){ data, (size_t)status.st_size };
	if (!profile_header_decode(profile->file, &profile->header))
		return error_set(error, KIOKU_ERROR_REFUSED, "%s is not a kioku profile", path);
	*out = TAKE(profile);
	return KIOKU_OK;
}

static enum kioku_status check_profile(const struct profile *profile, const char *path,
				       struct kioku_error *error)
{
	struct bytes covered = { profile->file.data + PROFILE_DIGEST_START,
				 profile->file.size - PROFILE_DIGEST_START };
	uint8_t digest[PROFILE_DIGEST_SIZE];

	if (!digest_parts(&covered, 1, digest))
		return error_no_memory(error);
	if (memcmp(digest, profile->header.digest, sizeof(digest)) != 0)
		return error_set(error, KIOKU_ERROR_REFUSED,
				 "the profile %s was changed or damaged after it was saved", path);
	return KIOKU_OK;
}

enum kioku_status profile_open(const char *path, struct profile **out, struct kioku_error *error)
{
	AUTO_PROFILE struct profile *profile = NULL;

	TRY(map_profile(path, &profile, error));
	TRY(check_profile(profile, path, error));
	*out = TAKE(profile);
	return KIOKU_OK;
}

static bool image_has(struct kioku_kernel *kernel, uint64_t distance, const void *expected,
		      size_t size)
{
	uint8_t found[PROFILE_BANNER_MAX];

	return size <= sizeof(found) &&
	       kernel_read(kernel, kernel->image.start + distance, found, size, NULL) == KIOKU_OK &&
	       memcmp(found, expected, size) == 0;
}

static bool fits(struct kioku_kernel *kernel, const struct profile_header *header)
{
	return header->build_id_size &&
	       image_has(kernel, header->build_id_distance, header->build_id,
			 header->build_id_size) &&
	       image_has(kernel, header->banner_distance, header->banner, header->banner_size);
}

enum kioku_status profile_apply(struct kioku_kernel *kernel, const struct profile *profile,
				struct kioku_error *error)
{
	const struct profile_header *header = &profile->header;
	struct bytes symbols, types, evidence;

	if (header->source_version[0])
		return error_set(error, KIOKU_ERROR_REFUSED,
				 "the profile has layouts alone, of source %s: give it as --types",
				 header->source_version);
	if (!fits(kernel, header))
		return error_set(error, KIOKU_ERROR_REFUSED,
				 "the profile is of another kernel (%.*s): its build id and banner "
				 "are not in this image",
				 (int)header->banner_size, header->banner);
	if (!bytes_slice(profile->file, header->symbols_offset, header->symbols_size, &symbols) ||
	    !bytes_slice(profile->file, header->types_offset, header->types_size, &types) ||
	    !profile_evidence(profile, &evidence))
		return error_set(error, KIOKU_ERROR_REFUSED, "the profile's parts lie outside it");
	/* All or nothing: what was taken points into the profile's file. */
	AUTO_SYMBOLS struct kioku_symbols *kept_symbols = NULL;
	AUTO_TYPES struct kioku_types *kept_types = NULL;
	TRY(symbols_from_blob(symbols, kernel->image.start + header->base_distance, &kept_symbols,
			      error));
	TRY(types_from_blob(types, &kept_types, error));
	if (!header->types_are_foreign && !crosscheck_types(kernel, kept_symbols, kept_types))
		return error_set(
			error, KIOKU_ERROR_REFUSED,
			"the profile's types are not those of the image, or one of them is "
			"damaged");
	kernel->banner = arena_copy(&kernel->arena, header->banner, header->banner_size);
	if (!kernel->banner)
		return error_no_memory(error);
	kernel->symbols = TAKE(kept_symbols);
	kernel->types = TAKE(kept_types);
	kernel->banner_virtual = kernel->image.start + header->banner_distance;
	kernel->types_are_foreign = header->types_are_foreign;
	kernel->symbols_evidence =
		arena_format(&kernel->arena, "%s, kept in a profile", header->symbols_evidence);
	kernel->types_evidence =
		arena_format(&kernel->arena, "%s, kept in a profile", header->types_evidence);
	if (evidence.size)
		kernel_types_are_inferred(kernel, evidence);
	if (header->forced[0]) {
		kernel->forced =
			arena_format(&kernel->arena, "%s, kept in a profile", header->forced);
		diagnose(&kernel->diagnostics, KIOKU_WARNING, "the profile was saved by force: %s",
			 header->forced);
	}
	return KIOKU_OK;
}

bool profile_evidence(const struct profile *profile, struct bytes *out)
{
	return bytes_slice(profile->file, profile->header.evidence_offset,
			   profile->header.evidence_size, out);
}

bool profile_find(struct kioku_kernel *kernel, const char *folder)
{
	CLEANUP(close_folder) DIR *entries = opendir(folder);
	struct dirent *entry;

	while (entries && (entry = readdir(entries))) {
		AUTO_PROFILE struct profile *profile = NULL;
		struct kioku_error error;
		char path[4096];
		size_t length = strlen(entry->d_name);

		if (length <= strlen(PROFILE_SUFFIX) ||
		    strcmp(entry->d_name + length - strlen(PROFILE_SUFFIX), PROFILE_SUFFIX) != 0 ||
		    snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name) >=
			    (int)sizeof(path))
			continue;
		/* The digest costs more than looking whether it is this kernel's at all. */
		if (map_profile(path, &profile, NULL) != KIOKU_OK ||
		    !fits(kernel, &profile->header))
			continue;
		if (check_profile(profile, path, &error) == KIOKU_OK &&
		    profile_apply(kernel, profile, &error) == KIOKU_OK) {
			kernel->profile = TAKE(profile);
			return true;
		}
		diagnose(&kernel->diagnostics, KIOKU_WARNING, "not used: %s", error.message);
	}
	return false;
}

static bool write_all(FILE *file, const struct bytes *parts, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (parts[i].size > 0 &&
		    fwrite(parts[i].data, 1, parts[i].size, file) != parts[i].size)
			return false;
	return fflush(file) == 0;
}

static void close_file(FILE **file)
{
	if (*file)
		fclose(*file);
}

/* Beside its final name first, so that no reader ever sees half a profile. */
static enum kioku_status write_file(const char *path, const struct bytes *parts, size_t count,
				    struct kioku_error *error)
{
	char temporary[4096];
	struct stat before;

	/* The rename would put a file in the place of a device. */
	if (stat(path, &before) == 0 && !S_ISREG(before.st_mode))
		return error_set(error, KIOKU_ERROR_ARGUMENT, "%s is no file", path);
	if (snprintf(temporary, sizeof(temporary), "%s.%ld", path, (long)getpid()) >=
	    (int)sizeof(temporary))
		return error_set(error, KIOKU_ERROR_ARGUMENT, "the path %s is too long", path);
	int descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (descriptor < 0)
		return error_os(error, "cannot write the profile %s", temporary);
	CLEANUP(close_file) FILE *file = fdopen(descriptor, "w");
	if (!file || !write_all(file, parts, count) || rename(temporary, path) != 0) {
		enum kioku_status status = error_os(error, "cannot write the profile %s", path);
		unlink(temporary);
		return status;
	}
	return KIOKU_OK;
}

static enum kioku_status save(const char *path, struct profile_header *header, struct bytes symbols,
			      struct bytes types, struct bytes evidence, struct kioku_error *error)
{
	static const uint8_t padding[PROFILE_ALIGNMENT];
	uint8_t encoded[PROFILE_HEADER_SIZE];
	size_t symbols_end = PROFILE_HEADER_SIZE + symbols.size;
	struct bytes gap = { padding, -symbols_end % PROFILE_ALIGNMENT };

	header->symbols_offset = PROFILE_HEADER_SIZE;
	header->symbols_size = symbols.size;
	header->types_offset = symbols_end + gap.size;
	header->types_size = types.size;
	header->evidence_offset = header->types_offset + types.size;
	header->evidence_size = evidence.size;
	profile_header_encode(header, encoded);
	struct bytes parts[] = { { 0 }, symbols, gap, types, evidence };
	const size_t count = sizeof(parts) / sizeof(*parts);
	parts[0] = (struct bytes){ encoded + PROFILE_DIGEST_START,
				   sizeof(encoded) - PROFILE_DIGEST_START };
	if (!digest_parts(parts, count, header->digest))
		return error_no_memory(error);
	parts[0] = (struct bytes){ encoded, sizeof(encoded) };
	profile_header_encode(header, encoded);
	return write_file(path, parts, count, error);
}

enum kioku_status kioku_kernel_save_profile(struct kioku_kernel *kernel, const char *path,
					    struct kioku_error *error)
{
	struct profile_header header = { 0 };

	if (!kernel->symbols || !kernel->types || !kernel->build_id_size)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "a profile needs symbols, types and a build id, and this image "
				 "lacks %s",
				 !kernel->symbols ? "symbols"
				 : !kernel->types ? "types"
						  : "a build id");
	header.build_id_distance = kernel->build_id_virtual - kernel->image.start;
	header.build_id_size = (uint32_t)kernel->build_id_size;
	memcpy(header.build_id, kernel->build_id, kernel->build_id_size);
	header.banner_distance = kernel->banner_virtual - kernel->image.start;
	header.banner_size = (uint32_t)strlen(kernel->banner);
	memcpy(header.banner, kernel->banner, header.banner_size);
	header.base_distance = symbols_base(kernel->symbols) - kernel->image.start;
	header.types_are_foreign = kernel->types_are_foreign;
	snprintf(header.symbols_evidence, sizeof(header.symbols_evidence), "%s",
		 kernel->symbols_evidence);
	snprintf(header.types_evidence, sizeof(header.types_evidence), "%s",
		 kernel->types_evidence);
	snprintf(header.forced, sizeof(header.forced), "%s", kernel->forced ? kernel->forced : "");
	return save(path, &header, symbols_blob(kernel->symbols), types_blob(kernel->types),
		    kernel->member_evidence, error);
}

enum kioku_status profile_save_layouts(const struct kioku_types *types,
				       const struct profile_origin *origin, const char *path,
				       struct kioku_error *error)
{
	struct profile_header header = { .types_are_foreign = true };

	snprintf(header.source_version, sizeof(header.source_version), "%s", origin->version);
	snprintf(header.local_version, sizeof(header.local_version), "%s", origin->local_version);
	snprintf(header.types_evidence, sizeof(header.types_evidence), "%s", origin->evidence);
	snprintf(header.forced, sizeof(header.forced), "%s", origin->forced ? origin->forced : "");
	return save(path, &header, (struct bytes){ 0 }, types_blob(types), (struct bytes){ 0 },
		    error);
}

static bool make_folders(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		bool good = mkdir(path, 0700) == 0 || errno == EEXIST;
		*slash = '/';
		if (!good)
			return false;
	}
	return true;
}

void profile_keep(struct kioku_kernel *kernel, const char *folder)
{
	char path[4096];
	struct kioku_error error;
	int used = snprintf(path, sizeof(path), "%s/", folder);

	/* A damaged image must not spoil the reading of whole ones. */
	if (!crosscheck_names(kernel->symbols, kernel->types))
		return;
	if (used < 0 ||
	    (size_t)used + 2 * PROFILE_BUILD_ID_MAX + sizeof(PROFILE_SUFFIX) > sizeof(path))
		return;
	for (size_t i = 0; i < kernel->build_id_size; i++)
		used += sprintf(path + used, "%02x", kernel->build_id[i]);
	strcpy(path + used, PROFILE_SUFFIX);
	if (!make_folders(path) || kioku_kernel_save_profile(kernel, path, &error) != KIOKU_OK)
		diagnose(&kernel->diagnostics, KIOKU_NOTE, "no profile kept in %s", folder);
}
