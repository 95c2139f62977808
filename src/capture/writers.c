/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/writers.h"

#include <stdio.h>
#include <string.h>

#define FORMAT_COUNT (sizeof(writers) / sizeof(*writers))

/* Of the memory of machines, which is what kioku_image_formats() lists. */
static const struct writer_format *const writers[] = {
	&lime_writer, &padded_writer, &raw_writer, &elf_writer, &avml_writer, &kdump_writer,
};

/* Other extensions that files of a format have. */
static const struct {
	const char *extension, *format;
} other_extensions[] = {
	{ "padded", "padded" },
	{ "core", "elf" },
	{ "vmcore", "elf" },
};

const struct kioku_image_format *const *kioku_image_formats(void)
{
	static const struct kioku_image_format *const formats[] = {
		&lime_writer.public,
		&padded_writer.public,
		&raw_writer.public,
		&elf_writer.public,
		&avml_writer.public,
		&kdump_writer.public,
		NULL,
	};
	return formats;
}

const char *const *kioku_image_codecs(void)
{
	return codec_names();
}

static const struct writer_format *format_named(const char *name)
{
	for (size_t i = 0; i < FORMAT_COUNT; i++)
		if (strcmp(writers[i]->public.name, name) == 0)
			return writers[i];
	return NULL;
}

static const struct writer_format *format_of_extension(const char *extension)
{
	for (size_t i = 0; i < FORMAT_COUNT; i++)
		if (strcmp(writers[i]->public.extension, extension) == 0)
			return writers[i];
	for (size_t i = 0; i < sizeof(other_extensions) / sizeof(*other_extensions); i++)
		if (strcmp(other_extensions[i].extension, extension) == 0)
			return format_named(other_extensions[i].format);
	return NULL;
}

static enum kioku_status unknown(const char *what, const char *name, struct kioku_error *error)
{
	return error_set(error, KIOKU_ERROR_ARGUMENT, "there is no %s \"%s\" in this build", what,
			 name);
}

enum { EXTENSION_SIZE = 16 };

/* There is one format for the memory of a process, which is not for any other. */
static enum kioku_status choose_format(bool is_process, const char *name, bool is_stream,
				       const struct writer_format **out, struct kioku_error *error)
{
	const char *core = core_writer.public.name;

	if (is_process && name && strcmp(name, core) != 0)
		return error_set(error, KIOKU_ERROR_ARGUMENT,
				 "the memory of a process becomes a \"%s\" and no \"%s\"", core,
				 name);
	if (!is_process && name && strcmp(name, core) == 0)
		return error_set(error, KIOKU_ERROR_ARGUMENT,
				 "a \"%s\" is for the memory of a process; that of a machine can "
				 "be an \"%s\"",
				 core, elf_writer.public.name);
	*out = is_process  ? &core_writer
	       : name      ? format_named(name)
	       : is_stream ? writers[0]
			   : NULL;
	return name && !*out ? unknown("image format", name, error) : KIOKU_OK;
}

/* Cuts the extension off a name, into out; "" if there is none of a size that matters. */
static void take_extension(char *name, char out[EXTENSION_SIZE])
{
	char *dot = strrchr(name, '.');

	out[0] = '\0';
	if (!dot || dot == name || strlen(dot + 1) >= EXTENSION_SIZE)
		return;
	snprintf(out, EXTENSION_SIZE, "%s", dot + 1);
	*dot = '\0';
}

/* What was not chosen yet. */
static enum kioku_status choose_by_name(const char *destination, const char *codec,
					const struct writer_format **out_format,
					const struct codec **out_codec, struct kioku_error *error)
{
	const char *slash = strrchr(destination, '/');
	char name[256], extension[EXTENSION_SIZE];

	snprintf(name, sizeof(name), "%s", slash ? slash + 1 : destination);
	take_extension(name, extension);
	const struct codec *packed = codec_of_extension(extension);
	if (packed)
		take_extension(name, extension);
	if (!codec)
		*out_codec = packed;
	if (!*out_format)
		*out_format = format_of_extension(extension);
	if (!*out_format)
		return error_set(error, KIOKU_ERROR_ARGUMENT,
				 "the name \"%s\" does not say which format to write; name one",
				 destination);
	return KIOKU_OK;
}

enum kioku_status writers_choose(bool is_process, const char *destination, const char *format,
				 const char *codec, const struct writer_format **out_format,
				 const struct codec **out_codec, struct kioku_error *error)
{
	bool is_stream = strcmp(destination, "-") == 0;

	TRY(choose_format(is_process, format, is_stream, out_format, error));
	*out_codec = codec ? codec_named(codec) : NULL;
	if (codec && !*out_codec && strcmp(codec, "none") != 0)
		return unknown("codec", codec, error);
	if (is_stream)
		return KIOKU_OK;
	return choose_by_name(destination, codec, out_format, out_codec, error);
}
