"""Pictures whose truth is known, drawn from a seed: coloured shapes with captions and questions, and a paddle that waits for a ball.

A scene is a picture (64,64,3) uint8 and its objects, each with a mask (64,64) of the pixels it covers.
"""
import functools
import numpy as np

side = 64
colours = {"red": (205, 50, 45), "green": (50, 165, 70), "blue": (55, 85, 205), "yellow": (225, 200, 50)}
shapes = ["circle", "square", "triangle", "cross"]
most_objects = 3

# ---- words. Line i of a vocabulary file is the word with the number i; 0 fills up sentences that are shorter than the network's.
caption_words = ["<pad>", "<start>", "<end>", "a", "and", *colours, *shapes]
question_words = ["<pad>", "what", "colour", "shape", "is", "the", "there", "a", *colours, *shapes]
answers = [*colours, *shapes, "yes", "no"]
caption_length, question_length = 4 * most_objects, 5

def tokens(words, vocabulary, length):
    return np.array([vocabulary.index(word) for word in words] + [0] * (length - len(words)), "int32")

# ---- shapes
rows, columns = np.mgrid[:side, :side] + 0.5

def mask_of(shape, row, column, radius):
    y, x = rows - row, columns - column
    if shape == "circle": return y * y + x * x <= radius * radius
    if shape == "square": return (abs(y) <= 0.88 * radius) & (abs(x) <= 0.88 * radius)
    if shape == "triangle": return (y <= 0.75 * radius) & (2 * abs(x) - y <= 1.1 * radius)
    return (np.minimum(abs(y), abs(x)) <= 0.36 * radius) & (np.maximum(abs(y), abs(x)) <= radius)  # cross

def draw(rng, masks, paints):
    """A grey background, plain or a slope, with the objects' colours over it, a little darker or lighter each, and some noise."""
    slope = rng.uniform(-25, 25, 2)
    picture = rng.uniform(90, 200) + slope[0] * (rows / side - 0.5) + slope[1] * (columns / side - 0.5)
    picture = np.repeat(picture[..., None], 3, -1)
    for mask, paint in zip(masks, paints): picture[mask] = np.array(paint) * rng.uniform(0.8, 1.1)
    picture += rng.normal(0, rng.uniform(0, 8), picture.shape)
    return picture.clip(0, 255).astype("uint8")

def scene(rng):
    """Two or three objects, no two of a colour, apart from one another, from left to right by at least 6 pixels: (picture, objects)."""
    count = rng.integers(2, most_objects + 1)
    while True:
        radius = rng.uniform(7, 11, count)
        centre = rng.uniform(radius + 1, side - 1 - radius, (2, count))
        order = centre[1].argsort(); radius, centre = radius[order], centre[:, order]
        apart = np.hypot(*(centre[:, :, None] - centre[:, None])) - 1.25 * (radius[:, None] + radius) + 99 * np.eye(count)
        if apart.min() > 0 and np.diff(centre[1]).min() >= 6: break
    objects = []
    for (row, column), size, colour in zip(centre.T, radius, rng.permutation(list(colours))):
        shape = str(rng.choice(shapes))
        objects.append({"colour": str(colour), "shape": shape, "mask": mask_of(shape, row, column, size)})
    return draw(rng, [o["mask"] for o in objects], [colours[o["colour"]] for o in objects]), objects

def caption(objects):
    """Its words, and for each the object that it tells of, or None."""
    words, about = [], []
    for i, o in enumerate(objects):
        words += (["and"] if i else []) + ["a", o["colour"], o["shape"]]
        about += ([None] if i else []) + [None, i, i]
    return words, about

def question(rng, objects):
    """A question with one answer: its words, the answer, the object it is about, or None where there is no such object."""
    while True:
        o = objects[rng.integers(len(objects))]
        kind = rng.integers(4)
        if kind == 0 and sum(p["shape"] == o["shape"] for p in objects) == 1:
            return ["what", "colour", "is", "the", o["shape"]], o["colour"], o
        if kind == 1:
            return ["what", "shape", "is", o["colour"]], o["shape"], o
        if kind == 2:
            return ["is", "there", "a", o["colour"], o["shape"]], "yes", o
        if kind == 3:  # half of the time of those that are there, but not together
            both = [[p[what] for p in objects] if rng.random() < 0.5 else known
                    for what, known in (("colour", list(colours)), ("shape", shapes))]
            colour, shape = (str(rng.choice(words)) for words in both)
            if not any(p["colour"] == colour and p["shape"] == shape for p in objects):
                return ["is", "there", "a", colour, shape], "no", None

# ---- the game, on a board of cells: a yellow ball falls straight, and the paddle at the bottom should be under it when it arrives.
# The blue balls do not count.
actions = ["left", "stay", "right"]
cell = 4  # pixels; a step of the ball, which falls by one, and of the paddle
ball_radius, paddle_half, paddle_row = 4, 8, 60
columns_of_ball, columns_of_paddle = np.arange(4, 61, cell), np.arange(8, 57, cell)
heights = np.arange(52, 3, -cell)  # of the ball; at heights[0] the game ends
discount, away_costs, move_costs = 0.9, 0.1, 0.05

@functools.cache
def best_values():
    """Of the best policy, by going backward from the last step: values[height, ball, paddle, action]. 1 for a ball that is caught, -1
    for one that is lost, less a little for each step away from under the ball and for each move; a step later is worth 0.9 of it."""
    shape = len(heights), len(columns_of_ball), len(columns_of_paddle), len(actions)
    values = np.zeros(shape)
    for h, b, p, a in np.ndindex(shape):
        moved = int(np.clip(p + a - 1, 0, len(columns_of_paddle) - 1))
        away = abs(columns_of_ball[b] - columns_of_paddle[moved]) > paddle_half
        later = values[h - 1, b, moved].max() if h > 1 else -1 if away else 1
        values[h, b, p, a] = discount * later - away_costs * away - move_costs * (a != 1)
    return values

def game(rng, held_out):
    """A moment of the game: (picture, [ball, paddle, one to three blue balls], values of the actions). One in five moments is held out, by
    its number, wherever the blue balls are."""
    values = best_values()
    while True:
        at = tuple(int(rng.integers(n)) for n in values.shape[:-1])
        if at[0] >= 1 and (np.ravel_multi_index(at, values.shape[:-1]) * 2654435761 % 2**32 % 5 == 0) == held_out: break
    h, b, p = at
    balls = [(heights[h], columns_of_ball[b])]
    count = rng.integers(2, 5)
    while len(balls) < count:
        other = rng.choice(heights[1:]), rng.choice(columns_of_ball)
        if all(np.hypot(other[0] - row, other[1] - column) > 2 * ball_radius for row, column in balls): balls.append(other)
    ball, *others = (mask_of("circle", row, column, ball_radius) for row, column in balls)
    paddle = (abs(rows - paddle_row) <= cell) & (abs(columns - columns_of_paddle[p]) <= paddle_half)
    objects = [{"name": "ball", "colour": "yellow", "mask": ball}, {"name": "paddle", "colour": "red", "mask": paddle},
               *({"name": "blue ball", "colour": "blue", "mask": mask} for mask in others)]
    picture = np.zeros((side, side, 3), "uint8")
    for o in objects: picture[o["mask"]] = np.array(colours[o["colour"]]) * rng.uniform(0.8, 1.1)
    return picture, objects, values[at]
