/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The static build runs on machines whose files are evidence, and may be the intruder's: it must not
 * load code from them. What glibc would load a library for, on behalf of OpenSSL, which has it linked
 * in and is never asked for it, fails here instead.
 */
#include <dlfcn.h>
#include <netdb.h>
#include <stddef.h>

void *dlopen(const char *file, int mode)
{
	return NULL;
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
		struct addrinfo **result)
{
	return EAI_FAIL;
}

void freeaddrinfo(struct addrinfo *list)
{
}

struct hostent *gethostbyname(const char *name)
{
	return NULL;
}
