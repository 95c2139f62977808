/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Lines of a kernel configuration (.config, /boot/config-RELEASE), as scripts/kconfig/confdata.c writes them,
 * v4.18 to v7.0; and the copy that a kernel may have of its own (kernel/configs.c).
 */
#ifndef FORMAT_KCONFIG_FORMAT_H
#define FORMAT_KCONFIG_FORMAT_H

#include "base/bytes.h"

#define KCONFIG_LINE_LIMIT 4095u /* bytes; strings of a configuration are far shorter */
#define KCONFIG_NAME_LIMIT 255u

enum kconfig_line_kind {
	KCONFIG_NONE,    /* no line of a configuration */
	KCONFIG_OPTION,  /* CONFIG_X=y, or # CONFIG_X is not set */
	KCONFIG_COMMENT, /* another line that starts with #, or an empty one */
	KCONFIG_TITLE,   /* "# Linux/x86 6.1.192 Kernel Configuration": value is the version */
	KCONFIG_START,   /* "# Automatically generated file; DO NOT EDIT.": a file's second line */
};

struct kconfig_line {
	enum kconfig_line_kind kind;
	struct bytes name;  /* with CONFIG_ before it; of OPTION */
	struct bytes value; /* as it stands there, "n" where it is not set; may be static then */
};

/*
 * What a line is, without its line feed. A value is y, m, n, a number, or a string in double quotes, and all of it is
 * printable ASCII: what is something else is NONE, so that nothing that was found by chance passes for an option.
 */
enum kconfig_line_kind kconfig_line_decode(struct bytes line, struct kconfig_line *out);

/* What is between the double quotes of a value, as it stands there; all of one that has none. */
struct bytes kconfig_unquoted(struct bytes value);

/* The two marks around the packed copy, and what follows the first one at once. */
#define IKCONFIG_MARK_SIZE 8u
#define IKCONFIG_START     "IKCFG_ST"
#define IKCONFIG_END       "IKCFG_ED"
#define IKCONFIG_LIMIT     (4u << 20) /* bytes that are unpacked; a configuration has a tenth of it */

/* The gzip stream between the marks, the first of which is where bytes start. False: there are not both. */
bool ikconfig_packed(struct bytes bytes, struct bytes *packed);

#endif
