#include "view/report.h"

#include <fmt/format.h>

#include "view/html.h"

namespace limn {

static std::string figure(const Image& image, const std::string& caption, const std::vector<std::string>& notes) {
    std::string text =
        fmt::format("<figure><img alt=\"{0}\" src=\"{1}\"><figcaption>{0}", escaped(caption), data_uri("image/png", encode_png(image)));
    for (const std::string& note : notes) text += "<br><em>" + escaped(note) + "</em>";
    return text + "</figcaption></figure>\n";
}

std::string html_report(const std::string& title, const std::string& model, const Image& photo, const std::vector<std::string>& predictions,
                        const std::vector<ReportPicture>& pictures) {
    std::string body = fmt::format("<h1>{}</h1>\n<p>model: {}</p>\n<ol>\n", escaped(title), escaped(model));
    for (const std::string& line : predictions) body += "<li>" + escaped(line) + "</li>\n";
    body += "</ol>\n<div class=\"row\">\n" + figure(photo, "photo", {});
    for (const ReportPicture& p : pictures) body += figure(p.picture, p.caption, p.diagnostics);
    return "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>" + escaped(title) +
           "</title>\n<style>body{font:16px sans-serif;margin:2em;max-width:90em}.row{display:flex;flex-wrap:wrap;gap:1em}"
           "figure{margin:0;max-width:28em}img{width:100%}em{color:#a33}</style></head>\n<body>\n" +
           body + "</div>\n</body></html>\n";
}

}  // namespace limn
