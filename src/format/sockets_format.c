/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "format/sockets_format.h"

#include <netinet/in.h>

#include "base/scan.h"

#define COUNT(array)  (sizeof(array) / sizeof((array)[0]))
#define WORDS         11      /* at most, of a line */
#define ACCEPTS       0x10000 /* __SO_ACCEPTCON */
#define PATH_BOUNDARY 7       /* words before a path */

/* include/net/tcp_states.h */
static const char *const tcp_states[] = {
	NULL,        "established", "syn_sent",     "syn_recv",       "fin_wait1",
	"fin_wait2", "time_wait",   "close",        "close_wait",     "last_ack",
	"listen",    "closing",     "new_syn_recv", "bound_inactive",
};

const char *socket_tcp_state(uint64_t state)
{
	return state < COUNT(tcp_states) ? tcp_states[state] : NULL;
}

/* Digits of both cases: addresses are printed in capitals. */
static bool parse_hex(struct bytes word, uint64_t *out)
{
	uint64_t value = 0;

	for (size_t i = 0; i < word.size; i++) {
		uint8_t c = word.data[i];
		uint8_t lower = c | 0x20;
		if (c >= '0' && c <= '9')
			value = value << 4 | (uint64_t)(c - '0');
		else if (lower >= 'a' && lower <= 'f')
			value = value << 4 | (uint64_t)(lower - 'a' + 10);
		else
			return false;
	}
	*out = value;
	return word.size > 0 && word.size <= 16;
}

static bool parse_decimal(struct bytes word, uint64_t *out)
{
	size_t offset = 0;

	return scan_decimal(word, &offset, out) && offset == word.size;
}

/* "0100007F:1F90", or the same with 32 digits. */
static bool parse_address(struct bytes word, struct sockaddr_storage *out)
{
	bool is_v6 = word.size == 37;
	size_t digits = is_v6 ? 32 : 8;
	uint64_t value, port;
	uint8_t address[16];

	if (word.size != digits + 5 || word.data[digits] != ':' ||
	    !parse_hex((struct bytes){ word.data + digits + 1, 4 }, &port))
		return false;
	for (size_t i = 0; i < digits / 8; i++) {
		if (!parse_hex((struct bytes){ word.data + 8 * i, 8 }, &value))
			return false;
		store_le32(address + 4 * i, (uint32_t)value);
	}
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };
	memcpy(&v4.sin_addr, address, sizeof(v4.sin_addr));
	memcpy(&v6.sin6_addr, address, sizeof(v6.sin6_addr));
	*out = (struct sockaddr_storage){ 0 };
	memcpy(out, is_v6 ? (void *)&v6 : (void *)&v4, is_v6 ? sizeof(v6) : sizeof(v4));
	return true;
}

static bool decode_inet(const struct bytes words[WORDS], struct socket_line *out)
{
	return parse_address(words[1], &out->local) && parse_address(words[2], &out->remote) &&
	       parse_hex(words[3], &out->state) && parse_decimal(words[9], &out->inode);
}

static bool decode_unix(const struct bytes words[WORDS], struct socket_line *out)
{
	uint64_t flags;

	if (!parse_hex(words[3], &flags) || !parse_hex(words[4], &out->type) ||
	    !parse_hex(words[5], &out->state) || !parse_decimal(words[6], &out->inode))
		return false;
	out->is_listening = flags & ACCEPTS;
	return true;
}

static bool decode_netlink(const struct bytes words[WORDS], struct socket_line *out)
{
	return parse_decimal(words[1], &out->protocol) && parse_decimal(words[2], &out->port) &&
	       parse_decimal(words[9], &out->inode);
}

static bool decode_packet(const struct bytes words[WORDS], struct socket_line *out)
{
	return parse_decimal(words[2], &out->type) && parse_hex(words[3], &out->protocol) &&
	       parse_decimal(words[4], &out->interface) && parse_decimal(words[8], &out->inode);
}

bool socket_line_decode(struct bytes line, enum socket_form form, struct socket_line *out)
{
	struct bytes words[WORDS] = { { NULL, 0 } };
	struct socket_line decoded = { 0 };
	size_t offset = 0, count = form == SOCKET_UNIX ? PATH_BOUNDARY : WORDS;
	bool valid = false;

	for (size_t i = 0; i < count && scan_word(line, &offset, &words[i]); i++)
		;
	switch (form) {
	case SOCKET_INET: valid = decode_inet(words, &decoded); break;
	case SOCKET_UNIX: valid = decode_unix(words, &decoded); break;
	case SOCKET_NETLINK: valid = decode_netlink(words, &decoded); break;
	case SOCKET_PACKET: valid = decode_packet(words, &decoded); break;
	}
	if (!valid)
		return false;
	if (form == SOCKET_UNIX) {
		/* One blank; more would be the name's own. */
		offset += offset < line.size;
		decoded.path = (struct bytes){ line.data + offset, line.size - offset };
	}
	*out = decoded;
	return true;
}
