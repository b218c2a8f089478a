/* See annotate.h. */
#include "domain/annotate.h"

#include <stdio.h>
#include "media/draw.h"

static const float mask_opacity = 0.4f, seen = 0.5f;

/* How thick lines and how large letters are, by the picture's shorter side. */
struct pen {
    int line, letters;
};

static struct pen pen_for(const struct image *im)
{
    const int side = im->width < im->height ? im->width : im->height;

    return (struct pen){ side / 400 + 1, side / 450 + 1 };
}

/* "person 0.92", cut when the name is long. */
static void name_of(const struct model_card *card, const struct detection *d, char *text, size_t size)
{
    const char *name = d->label >= 0 && d->label < card->nclasses ? card->class_names[d->label] : "?";

    snprintf(text, size, "%.48s %.2f", name, (double)d->score);
}

/* A label whose lower left corner is at x, y; moved inside the picture where it does not fit. */
static void draw_label(struct image *im, const struct pen *pen, int x, int y, const char *text,
                       struct colour c)
{
    const int margin = pen->letters, width = draw_text_width(text, pen->letters) + 2 * margin;
    const int height = draw_text_height(pen->letters) + 2 * margin;

    x = x + width > im->width ? im->width - width : x;
    x = x < 0 ? 0 : x;
    y = y < height ? height : y;
    draw_rectangle(im, x, y - height, x + width, y, c);
    draw_text(im, x + margin, y - height + margin, pen->letters, text, draw_contrast(c));
}

static void draw_box(struct image *im, const struct pen *pen, const struct detection *d, struct colour c)
{
    const float box[8] = { d->x0, d->y0, d->x1, d->y0, d->x1, d->y1, d->x0, d->y1 };

    if (d->rotated)
        draw_outline(im, &d->rotated->corners[0].x, 4, pen->line, c);
    else
        draw_outline(im, box, 4, pen->line, c);
}

static void draw_detection(struct image *im, const struct pen *pen, const struct model_card *card,
                           const struct detection *d)
{
    const struct colour c = draw_colour(d->label);
    char text[64];

    if (d->npolygon) {
        draw_polygon(im, &d->polygon[0].x, d->npolygon, mask_opacity, c);
        draw_outline(im, &d->polygon[0].x, d->npolygon, 1, c);
    }
    draw_box(im, pen, d, c);
    for (size_t i = 0; i < d->nkeypoints; i++)
        if (d->keypoints[i].visibility >= seen)
            draw_disc(im, d->keypoints[i].x, d->keypoints[i].y, (float)pen->line * 1.5f + 1,
                      draw_colour((int)i));
    name_of(card, d, text, sizeof text);
    draw_label(im, pen, (int)d->x0, (int)d->y0, text, c);
}

void prediction_draw(const struct prediction *p, const struct model_card *card, struct image *im)
{
    const struct pen pen = pen_for(im);
    const int line = draw_text_height(pen.letters) + 2 * pen.letters;
    char text[64];

    if (card->task != TASK_CLASSIFY) {
        for (size_t i = p->n; i-- > 0;)
            draw_detection(im, &pen, card, &p->items[i]);
        return;
    }
    for (size_t i = 0; i < p->n; i++) {
        name_of(card, &p->items[i], text, sizeof text);
        draw_label(im, &pen, 0, line * (int)(i + 1), text, draw_colour(p->items[i].label));
    }
}
