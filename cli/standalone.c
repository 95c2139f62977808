/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The static build runs on machines whose files are evidence, and may be the intruder's: neither
 * code nor settings may come from them. These stand in for what would fetch some on behalf of
 * OpenSSL and of the C library (by the linker's --wrap, see meson.build); neither needs it.
 */
#include <netdb.h>
#include <stddef.h>

void *__wrap_dlopen(const char *file, int mode);
int __wrap_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
		       struct addrinfo **result);
struct hostent *__wrap_gethostbyname(const char *name);
int __wrap_CONF_modules_load_file_ex(void *context, const char *file, const char *application,
				     unsigned long flags);
char *__wrap_setlocale(int category, const char *locale);

void *__wrap_dlopen(const char *file, int mode)
{
	return NULL;
}

int __wrap_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
		       struct addrinfo **result)
{
	return EAI_FAIL;
}

struct hostent *__wrap_gethostbyname(const char *name)
{
	return NULL;
}

/* openssl.cnf: it is as if there were none. */
int __wrap_CONF_modules_load_file_ex(void *context, const char *file, const char *application,
				     unsigned long flags)
{
	return 1;
}

/* Locale files, and the converters that some of them ask for: the locale stays "C". */
char *__wrap_setlocale(int category, const char *locale)
{
	return NULL;
}
