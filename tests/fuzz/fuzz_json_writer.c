/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whatever is written is JSON, and comes back as it was. */
#include <json-c/json.h>

#include "format/json_writer.h"
#include "fuzz.h"

static bool take_escaped(const char **text, uint8_t *out)
{
	unsigned byte;

	if (**text != '\\') {
		*out = (uint8_t) * (*text)++;
		return true;
	}
	if ((*text)[1] == '\\') {
		*out = '\\';
		*text += 2;
		return true;
	}
	if (sscanf(*text, "\\x%2x", &byte) != 1)
		return false;
	*out = (uint8_t)byte;
	*text += 4;
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes bytes = { data, size };
	char *text = NULL;
	size_t length;
	struct json_writer writer = { .out = open_memstream(&text, &length) };
	struct json_object *member;

	if (!writer.out)
		return 0;
	json_begin_object(&writer, NULL);
	json_begin_array(&writer, "numbers");
	json_put_unsigned(&writer, NULL, size);
	json_put_signed(&writer, NULL, -(int64_t)size);
	json_end_array(&writer);
	json_put_bytes(&writer, "bytes", bytes);
	json_put_text(&writer, "nothing", NULL);
	json_put_flag(&writer, "flag", true);
	json_end_object(&writer);
	fclose(writer.out);

	struct json_tokener *tokener = json_tokener_new();
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	struct json_object *object = json_tokener_parse_ex(tokener, text, (int)length + 1);
	FUZZ_CHECK(object && json_object_object_get_ex(object, "bytes", &member));
	const char *at = json_object_get_string(member);
	for (size_t i = 0; i < size; i++) {
		uint8_t byte = 0;
		FUZZ_CHECK(*at && take_escaped(&at, &byte) && byte == data[i]);
	}
	FUZZ_CHECK(*at == '\0');
	json_object_put(object);
	json_tokener_free(tokener);
	free(text);
	return 0;
}
