/* The cards of an imaginary machine, for the two stand-in libraries.
 *
 * STANDIN_CARDS lists them in PCI order, separated by ';', a MIG slice after its card:
 *     UUID total reserved free [attributes]
 * UUID with its prefix (GPU-..., MIG-...), sizes in bytes, attributes a bit mask: 1 is integrated,
 * 2 is fast (first in CUDA's own order). STANDIN_<call> is the code that a call shall return. The
 * environment is read anew at each initialisation.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_CARDS 16
#define EXPORT __attribute__((visibility("default")))
enum { INTEGRATED = 1, FAST = 2 };

typedef struct {
    char uuid[64];
    unsigned long long total, reserved, free;
    unsigned attributes;
} Card;

static Card cards[MAX_CARDS];
static int n_cards;

static void read_cards(void) {
    char text[4096], *rest = text;
    const char *given = getenv("STANDIN_CARDS");
    snprintf(text, sizeof text, "%s", given ? given : "");
    memset(cards, 0, sizeof cards);
    n_cards = 0;
    for (char *one; (one = strtok_r(rest, ";", &rest)) && n_cards < MAX_CARDS; n_cards++) {
        Card *c = &cards[n_cards];
        sscanf(one, "%63s %llu %llu %llu %u", c->uuid, &c->total, &c->reserved, &c->free,
               &c->attributes);
    }
}

/* The code that STANDIN_<call> asks for, or success. */
static int outcome(const char *call) {
    char name[64];
    snprintf(name, sizeof name, "STANDIN_%s", call);
    const char *given = getenv(name);
    return given ? atoi(given) : 0;
}
